//! Numbers that look random and are the same each time.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

/// splitmix64.
pub struct Random(u64);

/// What `ROUNDS` says, or this many.
pub fn rounds(otherwise: usize) -> usize {
    std::env::var("ROUNDS").map_or(otherwise, |rounds| rounds.parse().unwrap())
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// The text as it is, or with one or two things done to it.
    pub fn mutate(&mut self, text: &str) -> String {
        const ODD: [char; 23] = [
            'A', 'a', '0', '=', '+', '%', '-', '_', ' ', '\t', '"', ',', '\\', '/', '@', '#', '?', '\u{e9}',
            '\u{4e00}', '<', '.', '&', ':',
        ];
        if self.one_in(2) {
            return text.to_owned();
        }
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(2) {
            let at = self.below(chars.len() + 1);
            let odd = self.pick(&ODD);
            match (self.below(7), chars.get(at).copied()) {
                (0, Some(_)) => {
                    chars.remove(at);
                }
                (1, Some(_)) => chars[at] = odd,
                (2, _) => chars.insert(at, odd),
                (3, _) => chars.truncate(at),
                (4, Some(letter)) if letter.is_ascii_lowercase() => chars[at] = letter.to_ascii_uppercase(),
                (4, Some(letter)) => chars[at] = letter.to_ascii_lowercase(),
                (5, _) => chars.extend_from_within(..),
                _ => chars.push(odd),
            }
        }
        chars.into_iter().collect()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
