//! The marker: a 38-character word that names its owner and run and is authenticated by a key.
//! `prefix 6 · version 1 · run 4 · kind 1 · owner 5 · early check 4 · sequence 5 · MAC 12`,
//! lower-case Crockford base32 (5 bits a character). In: owner, step, count. Out: the word, and back.

/// Length of a whole marker.
pub const LENGTH: usize = 38;
/// Length of the part that names run and owner and carries the early check.
pub const HEAD: usize = 21;
/// What every marker starts with: rare in any text, made of the alphabet only.
pub const PREFIX: &[u8; 6] = b"wtq7zx";
const VERSION: u8 = b'1';
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Owner numbers have 25 bits.
pub const MOST_OWNERS: u32 = 1 << 25;

/// The last step that a marker can name.
pub const LAST_STEP: u16 = 1023;

const CHECKED: usize = 17;
const SEQUENCE_END: usize = 26;

/// Whom a marker belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An account: the owner is its global number.
    Account,
    /// An audience (room): the owner is its number.
    Audience,
}

/// The step and count of a marker in words, which says neither.
pub const UNNUMBERED: u16 = u16::MAX;

impl Kind {
    fn bits(self) -> u64 {
        match self {
            Self::Account => 0,
            Self::Audience => 1,
        }
    }
}

/// What a marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Account or audience.
    pub kind: Kind,
    /// Number of the owner.
    pub owner: u32,
    /// The step that wrote it, lowest 10 bits.
    pub step: u16,
    /// The owner's running count of markers, lowest 15 bits.
    pub count: u16,
}

/// What a candidate turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The whole word, authenticated.
    Authentic(Marker),
    /// Of this run and owner by the early check, but cut off or damaged after it.
    Fragment {
        /// Account or audience.
        kind: Kind,
        /// Number of the owner.
        owner: u32,
    },
    /// A well-formed word of another run.
    Residue,
    /// No marker.
    Nothing,
}

/// Makes and checks the markers of one run.
#[derive(Clone)]
pub struct Mint {
    key: [u8; 32],
    run: [u8; 4],
}

impl std::fmt::Debug for Mint {
    /// The key stays out of every output.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mint").finish_non_exhaustive()
    }
}

impl Mint {
    /// A mint for one invocation; the run word is derived from the key.
    pub fn new(key: [u8; 32]) -> Self {
        let mut run = [0; 4];
        encode(low_bits(blake3::keyed_hash(&key, b"run"), 20), &mut run);
        Self { key, run }
    }

    /// The part that all markers of one owner share.
    pub fn head(&self, kind: Kind, owner: u32) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..6].copy_from_slice(PREFIX);
        head[6] = VERSION;
        head[7..11].copy_from_slice(&self.run);
        encode(kind.bits(), &mut head[11..12]);
        encode(u64::from(owner % MOST_OWNERS), &mut head[12..CHECKED]);
        let check = self.early_check(&head[..CHECKED]);
        encode(check, &mut head[CHECKED..]);
        head
    }

    /// A whole marker after `head`.
    pub fn marker(&self, head: &[u8; HEAD], step: u16, count: u16) -> [u8; LENGTH] {
        let mut word = [0; LENGTH];
        word[..HEAD].copy_from_slice(head);
        encode(u64::from(step % 1024) << 15 | u64::from(count % 32_768), &mut word[HEAD..SEQUENCE_END]);
        let mac = self.mac(&word[..SEQUENCE_END]);
        encode(mac, &mut word[SEQUENCE_END..]);
        word
    }

    /// Reads the candidate at the start of `text`, whatever its letters' case.
    pub fn decode(&self, text: &[u8]) -> Decoded {
        let mut word = [0; LENGTH];
        let length = text.len().min(LENGTH);
        word[..length].copy_from_slice(&text[..length]);
        word.make_ascii_lowercase();
        if length < HEAD || &word[..6] != PREFIX || word[6] != VERSION {
            return Decoded::Nothing;
        }
        let Some((kind, owner)) = decode(&word[11..12])
            .and_then(|k| [Kind::Account, Kind::Audience].into_iter().find(|kind| kind.bits() == k))
            .zip(decode(&word[12..CHECKED]))
        else {
            return Decoded::Nothing;
        };
        if word[7..11] != self.run {
            // The early check needs the other run's key; a full-length word of the alphabet is taken for residue.
            return if length == LENGTH && decode(&word[7..11]).is_some() && all_in_alphabet(&word[CHECKED..]) {
                Decoded::Residue
            } else {
                Decoded::Nothing
            };
        }
        if decode(&word[CHECKED..HEAD]) != Some(self.early_check(&word[..CHECKED])) {
            return Decoded::Nothing;
        }
        let owner = owner as u32;
        match (decode(&word[HEAD..SEQUENCE_END]), decode(&word[SEQUENCE_END..])) {
            (Some(sequence), Some(mac)) if length == LENGTH && mac == self.mac(&word[..SEQUENCE_END]) => {
                Decoded::Authentic(Marker {
                    kind,
                    owner,
                    step: (sequence >> 15) as u16,
                    count: (sequence & 0x7fff) as u16,
                })
            }
            _ => Decoded::Fragment { kind, owner },
        }
    }

    /// A keyed 128-bit digest, for values that must be compared but never stored.
    pub fn digest(&self, value: &[u8]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"value");
        hasher.update(value);
        u128::from_le_bytes(hasher.finalize().as_bytes()[..16].try_into().expect("16 of 32 bytes"))
    }

    fn early_check(&self, text: &[u8]) -> u64 {
        low_bits(blake3::keyed_hash(&self.key, text), 20)
    }

    fn mac(&self, text: &[u8]) -> u64 {
        low_bits(blake3::keyed_hash(&self.key, text), 60)
    }
}

fn low_bits(hash: blake3::Hash, bits: u32) -> u64 {
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 of 32 bytes")) & ((1 << bits) - 1)
}

fn encode(mut value: u64, out: &mut [u8]) {
    for c in out.iter_mut().rev() {
        *c = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
}

fn decode(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |sum, c| Some(sum << 5 | u64::from(VALUES[usize::from(*c)].checked_sub(1)?)))
}

fn all_in_alphabet(text: &[u8]) -> bool {
    text.iter().all(|c| VALUES[usize::from(*c)] != 0)
}

/// 1 + the value of each lower-case character of the alphabet, 0 for every other byte.
const VALUES: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 32 {
        table[ALPHABET[i] as usize] = i as u8 + 1;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mint() -> Mint {
        Mint::new([7; 32])
    }

    proptest! {
        #[test]
        fn a_marker_says_what_was_put_in(owner in 0..MOST_OWNERS, step in 0u16..1024, count in 0u16..32_768) {
            let mint = mint();
            let word = mint.marker(&mint.head(Kind::Account, owner), step, count);
            let expected = Decoded::Authentic(Marker { kind: Kind::Account, owner, step, count });
            prop_assert_eq!(mint.decode(&word), expected);
            prop_assert_eq!(mint.decode(&word.to_ascii_uppercase()), expected);
        }

        #[test]
        fn any_changed_character_after_the_head_is_a_fragment(at in HEAD..LENGTH, c in 0usize..32) {
            let mint = mint();
            let mut word = mint.marker(&mint.head(Kind::Audience, 99), 3, 4);
            prop_assume!(word[at] != ALPHABET[c]);
            word[at] = ALPHABET[c];
            prop_assert_eq!(mint.decode(&word), Decoded::Fragment { kind: Kind::Audience, owner: 99 });
        }

        #[test]
        fn arbitrary_bytes_are_nothing(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(mint().decode(&text), Decoded::Nothing);
        }
    }

    #[test]
    fn a_cut_marker_still_names_its_owner() {
        let mint = mint();
        let word = mint.marker(&mint.head(Kind::Account, 12_345), 1, 2);
        for length in HEAD..LENGTH {
            assert_eq!(mint.decode(&word[..length]), Decoded::Fragment { kind: Kind::Account, owner: 12_345 });
        }
        assert_eq!(mint.decode(&word[..HEAD - 1]), Decoded::Nothing);
    }

    #[test]
    fn another_runs_marker_is_residue() {
        let other = Mint::new([8; 32]);
        let word = other.marker(&other.head(Kind::Account, 5), 1, 2);
        assert_eq!(mint().decode(&word), Decoded::Residue);
    }

    #[test]
    fn a_forged_owner_does_not_pass() {
        let mint = mint();
        let mut word = mint.marker(&mint.head(Kind::Account, 5), 1, 2);
        word[16] = if word[16] == b'7' { b'8' } else { b'7' };
        assert_eq!(mint.decode(&word), Decoded::Nothing);
    }
}
