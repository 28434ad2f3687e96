//! Every rule of the suite catches a store that breaks it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_signin::conformance::{self, Fixture};
use tower_signin::{
    BoxFuture, Clock, ManualClock, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError, StoreErrorKind,
};

/// Without a fault the store below keeps all rules: what a rule catches is the fault alone.
mod without_a_fault {
    async fn fixture() -> super::Fixture {
        super::fixture(super::Fault::None).await
    }

    tower_signin::store_conformance!(fixture);
}

macro_rules! caught {
    ($($rule:ident: $($fault:ident)+;)*) => {
        const ROWS: &[&str] = &[$(stringify!($rule)),*];

        mod caught {
            $(
                #[test]
                fn $rule() {
                    $(
                        let run = || {
                            let fixture = || super::fixture(super::Fault::$fault);
                            super::run(fixture, super::conformance::$rule);
                        };
                        assert!(std::panic::catch_unwind(run).is_err(), "{}", stringify!($fault));
                    )+
                }
            )*
        }
    };
}

caught! {
    what_is_created_is_loaded_as_it_was: LoadTakes LoadInvents;
    an_id_that_is_taken_is_refused: CreateOverwrites;
    an_id_whose_session_is_over_is_free: OverTakesKey;
    a_session_is_over_from_its_end_on: EndIsIncluded;
    what_is_over_from_the_start_is_taken_and_is_none: OverIsRefused;
    an_update_needs_the_generation_before: UpdateAsksNothing UpdateKeepsLaterEnd;
    an_update_brings_nothing_back: UpdateCreates;
    an_update_to_an_end_that_has_been_ends_the_session: UpdateKeepsLaterEnd;
    generations_are_exact_to_the_last: GenerationsAreDoubles;
    a_touch_moves_the_end_later_and_nothing_else: TouchSets;
    a_touch_brings_nothing_back: TouchRevives;
    a_touch_and_an_update_both_hold: TouchIsGeneration;
    a_delete_may_come_twice: NobodyIsError;
    keys_differ_in_every_bit: KeysAreCut;
    any_bytes_are_kept_as_they_are: BytesAreText;
    a_far_end_is_an_end: TimesIn32Bits;
    a_clock_that_steps_back_ends_nothing: StepBackForgets;
    of_many_who_create_one_wins: NotAtomic;
    of_many_who_update_one_wins: NotAtomic;
    no_update_is_lost: NotAtomic;
    what_is_deleted_meanwhile_stays_so: NotAtomic;
    a_touch_meanwhile_undoes_no_update: NotAtomic;
    of_many_touches_the_latest_holds: NotAtomic TouchSets;
    who_joins_is_a_member_until_the_time_has_come: EndIsIncluded GroupHasOneEnd;
    a_time_that_has_been_changes_nothing: JoinSets;
    joining_again_moves_the_time_later_and_never_earlier: JoinSets JoinAppends FirstTimeHolds;
    who_leaves_is_no_member: LeaveEmpties LeaveDoesNothing NobodyIsError;
    who_has_left_may_join_again: LeaveIsRemembered;
    a_group_whose_members_are_all_over_is_as_none: GroupHasOneEnd;
    groups_and_sessions_leave_each_other_alone: DeleteLeaves JoinTakesKey;
    groups_and_members_differ_in_every_bit: GroupsAreCut MembersAreCut;
    a_large_group_is_given_whole: GroupsAreSmall;
    a_far_time_is_a_time: TimesIn32Bits;
    a_clock_that_steps_back_takes_nobody_out: StepBackForgets;
    of_many_who_join_all_are_there: NotAtomic;
    joins_and_leaves_at_once_all_hold: NotAtomic;
    of_many_times_the_latest_holds: NotAtomic JoinSets;
}

#[test]
fn every_rule_is_run_and_has_a_row() {
    let sources = [
        include_str!("../../src/conformance/records.rs"),
        include_str!("../../src/conformance/races.rs"),
        include_str!("../../src/conformance/groups.rs"),
    ];
    let rules: Vec<_> = sources
        .iter()
        .flat_map(|source| source.split("\npub async fn ").skip(1))
        .map(|rule| rule.split('(').next().unwrap())
        .collect();
    assert_eq!(ROWS, rules);
    let listed = include_str!("../../src/conformance/mod.rs").split("$fixture:\n").nth(1).unwrap();
    let listed: Vec<_> = listed.split('}').next().unwrap().split_whitespace().collect();
    assert_eq!(listed, rules);
}

/// As [`conformance::run`], for a fixture that takes something along.
fn run<F: Future<Output = Fixture>, R: Future<Output = ()>>(fixture: impl Fn() -> F, rule: fn(Fixture) -> R) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async { rule(fixture().await).await });
}

async fn fixture(fault: Fault) -> Fixture {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
    Fixture::on_manual_clock(Simple { clock: Arc::clone(&clock), fault, kept: Mutex::default() }, &clock)
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Between what a step reads and what it writes, others have their turn.
    NotAtomic,
    LoadTakes,
    LoadInvents,
    CreateOverwrites,
    OverTakesKey,
    OverIsRefused,
    EndIsIncluded,
    UpdateAsksNothing,
    UpdateCreates,
    UpdateKeepsLaterEnd,
    GenerationsAreDoubles,
    TouchSets,
    TouchRevives,
    TouchIsGeneration,
    NobodyIsError,
    KeysAreCut,
    BytesAreText,
    TimesIn32Bits,
    StepBackForgets,
    JoinSets,
    JoinAppends,
    JoinTakesKey,
    FirstTimeHolds,
    LeaveEmpties,
    LeaveDoesNothing,
    LeaveIsRemembered,
    GroupHasOneEnd,
    DeleteLeaves,
    GroupsAreCut,
    MembersAreCut,
    GroupsAreSmall,
}

/// A store as simple as can be, with a fault or none.
struct Simple {
    clock: Arc<ManualClock>,
    fault: Fault,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    records: HashMap<[u8; 32], SessionRecord>,
    groups: HashMap<[u8; 32], Vec<Member>>,
    latest: Option<SystemTime>,
}

#[derive(Clone)]
struct Member {
    key: SessionKey,
    until: SystemTime,
    has_left: bool,
}

impl Simple {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn now(&self) -> SystemTime {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap();
        if self.has(Fault::StepBackForgets) && kept.latest.is_some_and(|latest| now < latest) {
            *kept = Kept::default();
        }
        kept.latest = Some(now);
        now
    }

    fn is_over(&self, end: SystemTime, now: SystemTime) -> bool {
        if self.has(Fault::EndIsIncluded) { end < now } else { end <= now }
    }

    fn cut(&self, bytes: [u8; 32], fault: Fault) -> [u8; 32] {
        let mut bytes = bytes;
        if self.has(fault) {
            bytes[31] &= 0xfe;
        }
        bytes
    }

    fn time(&self, time: SystemTime) -> SystemTime {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        if self.has(Fault::TimesIn32Bits) { UNIX_EPOCH + Duration::from_secs(seconds & 0xffff_ffff) } else { time }
    }

    fn kept_as(&self, record: &SessionRecord) -> SessionRecord {
        let bytes = if self.has(Fault::BytesAreText) {
            String::from_utf8_lossy(record.bytes()).into_owned().into_bytes()
        } else {
            record.bytes().to_vec()
        };
        SessionRecord::new(bytes, record.generation(), self.time(record.expires_at()))
    }

    /// One step on one record: what is there, over or not, becomes what `change` leaves there.
    async fn on_record<T>(
        &self,
        key: SessionKey,
        change: impl FnOnce(&mut Option<SessionRecord>, SystemTime) -> T,
    ) -> T {
        let (key, now) = (self.cut(*key.as_bytes(), Fault::KeysAreCut), self.now());
        if self.has(Fault::NotAtomic) {
            let mut record = self.kept.lock().unwrap().records.get(&key).cloned();
            others_have_their_turn().await;
            let done = change(&mut record, now);
            others_have_their_turn().await;
            put(&mut self.kept.lock().unwrap().records, key, record);
            return done;
        }
        let records = &mut self.kept.lock().unwrap().records;
        let mut record = records.remove(&key);
        let done = change(&mut record, now);
        put(records, key, record);
        done
    }

    async fn on_group<T>(&self, group: SessionGroup, change: impl FnOnce(&mut Vec<Member>, SystemTime) -> T) -> T {
        let (group, now) = (self.cut(*group.as_bytes(), Fault::GroupsAreCut), self.now());
        if self.has(Fault::NotAtomic) {
            let mut members = self.kept.lock().unwrap().groups.get(&group).cloned().unwrap_or_default();
            others_have_their_turn().await;
            let done = change(&mut members, now);
            others_have_their_turn().await;
            self.kept.lock().unwrap().groups.insert(group, members);
            return done;
        }
        change(self.kept.lock().unwrap().groups.entry(group).or_default(), now)
    }

    fn nobody(&self) -> Result<(), StoreError> {
        if self.has(Fault::NobodyIsError) { Err(StoreError::new(StoreErrorKind::Failed)) } else { Ok(()) }
    }

    fn live(&self, record: &Option<SessionRecord>, now: SystemTime) -> Option<SessionRecord> {
        record.clone().filter(|record| !self.is_over(record.expires_at(), now))
    }
}

fn put(records: &mut HashMap<[u8; 32], SessionRecord>, key: [u8; 32], record: Option<SessionRecord>) {
    match record {
        Some(record) => drop(records.insert(key, record)),
        None => drop(records.remove(&key)),
    }
}

async fn others_have_their_turn() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

impl SessionStore for Simple {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let named_alike = SessionGroup::new(*key.as_bytes());
            if self.has(Fault::JoinTakesKey) && !self.members(named_alike).await?.is_empty() {
                return Ok(false);
            }
            let create = |there: &mut Option<SessionRecord>, now| {
                let taken = if self.has(Fault::OverTakesKey) { there.clone() } else { self.live(there, now) };
                let is_refused = self.has(Fault::OverIsRefused) && record.is_over(now);
                let is_created = !is_refused && (taken.is_none() || self.has(Fault::CreateOverwrites));
                if is_created {
                    *there = Some(self.kept_as(&record));
                }
                is_created
            };
            Ok(self.on_record(key, create).await)
        })
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let load = |there: &mut Option<SessionRecord>, now| {
                let loaded = self.live(there, now);
                if self.has(Fault::LoadTakes) {
                    *there = None;
                }
                loaded
            };
            let invented = || SessionRecord::new([], 0, self.clock.now());
            let loaded = self.on_record(key, load).await;
            Ok(if self.has(Fault::LoadInvents) { loaded.or_else(|| Some(invented())) } else { loaded })
        })
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let update = |there: &mut Option<SessionRecord>, now| {
                let Some(before) = self.live(there, now) else {
                    let creates = self.has(Fault::UpdateCreates);
                    if creates {
                        *there = Some(record);
                    }
                    return creates;
                };
                let is_next = before.generation().checked_add(1) == Some(record.generation());
                let is_near = before.generation() as f64 + 1.0 == record.generation() as f64;
                let is_updated = is_next
                    || self.has(Fault::UpdateAsksNothing)
                    || (self.has(Fault::GenerationsAreDoubles) && is_near);
                if is_updated {
                    let end = record.expires_at();
                    let keeps_later = self.has(Fault::UpdateKeepsLaterEnd);
                    let end = if keeps_later { end.max(before.expires_at()) } else { end };
                    *there = Some(self.kept_as(&SessionRecord::new(record.bytes(), record.generation(), end)));
                }
                is_updated
            };
            Ok(self.on_record(key, update).await)
        })
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let touch = |there: &mut Option<SessionRecord>, now| {
                let found = if self.has(Fault::TouchRevives) { there.clone() } else { self.live(there, now) };
                let Some(before) = found else { return false };
                let latest = before.expires_at().max(expires_at);
                let end = if self.has(Fault::TouchSets) { expires_at } else { latest };
                let generation = before.generation() + u64::from(self.has(Fault::TouchIsGeneration));
                *there = Some(self.kept_as(&SessionRecord::new(before.bytes(), generation, end)));
                true
            };
            Ok(self.on_record(key, touch).await)
        })
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if self.has(Fault::DeleteLeaves) {
                for members in self.kept.lock().unwrap().groups.values_mut() {
                    members.retain(|member| member.key != key);
                }
            }
            match self.on_record(key, |there, _| there.take()).await {
                Some(_) => Ok(()),
                None => self.nobody(),
            }
        })
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let key = SessionKey::new(self.cut(*member.as_bytes(), Fault::MembersAreCut));
            let until = self.time(until);
            let join = |members: &mut Vec<Member>, now| {
                let is_sound = !self.has(Fault::GroupHasOneEnd) && !self.has(Fault::LeaveIsRemembered);
                if is_sound {
                    members.retain(|member| !self.is_over(member.until, now));
                }
                match members.iter_mut().find(|member| member.key == key && !self.has(Fault::JoinAppends)) {
                    Some(member) => {
                        member.has_left = false;
                        member.until = match self.fault {
                            Fault::JoinSets => until,
                            Fault::FirstTimeHolds => member.until,
                            _ => member.until.max(until),
                        };
                    }
                    None => members.push(Member { key, until, has_left: false }),
                }
            };
            self.on_group(group, join).await;
            Ok(())
        })
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let leave = |members: &mut Vec<Member>, _| match self.fault {
                Fault::LeaveEmpties => members.clear(),
                Fault::LeaveDoesNothing => {}
                Fault::LeaveIsRemembered => {
                    members.iter_mut().filter(|found| found.key == member).for_each(|found| found.has_left = true);
                }
                _ => members.retain(|found| found.key != member),
            };
            let before = self.on_group(group, |members, _| members.len()).await;
            self.on_group(group, leave).await;
            if before == 0 { self.nobody() } else { Ok(()) }
        })
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        Box::pin(async move {
            let most = if self.has(Fault::GroupsAreSmall) { 999 } else { usize::MAX };
            let members = |members: &mut Vec<Member>, now| {
                let last = members.iter().map(|member| member.until).max();
                let end = |member: &Member| last.filter(|_| self.has(Fault::GroupHasOneEnd)).unwrap_or(member.until);
                let there = members.iter().filter(|member| !member.has_left && !self.is_over(end(member), now));
                there.map(|member| member.key).take(most).collect()
            };
            Ok(self.on_group(group, members).await)
        })
    }
}
