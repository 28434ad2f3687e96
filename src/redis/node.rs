//! One server: what it is asked, over which of its connections.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value, cmd};
use tokio::time::Instant;

use super::address::Address;
use super::line::{Line, Settings};
use super::trouble::Trouble;

pub(super) struct Node {
    address: Address,
    replicas: u32,
    shared: Line,
    /// For steps that wait for replicas, since everything behind them on the same connection waits as well.
    waiting: Line,
}

/// Whether a step changes what must not be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    Yes,
    No,
}

impl Node {
    pub(super) fn new(address: Address, settings: &Arc<Settings>) -> Self {
        let line = || Line::new(address.clone(), Arc::clone(settings));
        Self { replicas: settings.replicas, shared: line(), waiting: line(), address }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The answer to one command. `asked_for` where another node of the cluster said that this one has the key by now.
    pub(super) async fn ask(
        &self,
        command: &Cmd,
        lasting: Lasting,
        asked_for: bool,
        deadline: Instant,
    ) -> Result<Value, Trouble> {
        let waits = lasting == Lasting::Yes && self.replicas > 0;
        if !waits && !asked_for {
            let answer = self.shared.send_one(command, deadline).await?;
            return answer.extract_error().map_err(|error| Trouble::of(&self.address, &error));
        }
        let mut commands = Pipeline::with_capacity(3);
        if asked_for {
            commands.add_command(cmd("ASKING"));
        }
        commands.add_command(command.clone());
        if waits {
            let mut wait = cmd("WAIT");
            wait.arg(self.replicas).arg(patience(deadline));
            commands.add_command(wait);
        }
        let line = if waits { &self.waiting } else { &self.shared };
        let mut answers = line.send(&commands, deadline).await?.into_iter().skip(usize::from(asked_for));
        let answer = answers.next().unwrap_or(Value::Nil);
        let answer = answer.extract_error().map_err(|error| Trouble::of(&self.address, &error))?;
        match answers.next() {
            Some(Value::Int(reached)) if reached < i64::from(self.replicas) => {
                let what = format!("{reached} replicas have it so far, of {}", self.replicas);
                Err(Trouble::unreachable(&self.address, what))
            }
            Some(refused @ Value::ServerError(_)) => match refused.extract_error() {
                Err(error) => Err(Trouble::of(&self.address, &error)),
                Ok(_) => Ok(answer),
            },
            _ => Ok(answer),
        }
    }
}

/// How many milliseconds a server waits for its replicas: less than we wait for it, so that it says how many there are. To it,
/// 0 means for ever.
fn patience(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now()) * 3 / 4;
    u64::try_from(left.max(Duration::from_millis(1)).as_millis()).unwrap_or(1)
}
