//! The second form of a marker, for language models: an invented word and six common ones, such as
//! `zuvotakirepu copper lamp window garden tiger salt`. Models repeat words and corrupt random characters.
//! In: an account. Out: its words, the same each time; and back from a text in which they were quoted.
//!
//! `owner 20 · MAC 58` bits: the six words hold the first 54, the invented word the last 24. With all seven right, all
//! 58 bits of the keyed MAC have been checked. A model that mixes up words makes such a sequence by chance once in
//! 2⁵⁸ ≈ 2.9·10¹⁷ corrupted ones: at 3,000 of them a second, all day, that is below one false hit in a billion days. So an
//! exact sequence is proof. One of which only the invented word and the first three are right (31 bits checked)
//! names its owner too, but is never more than a suspicion.

use super::marker::Mint;

/// What every invented word starts with; searched for.
pub const STEM: &[u8; 4] = b"zuvo";
/// Owners that can be said in words; those above get the other form.
pub const MOST_OWNERS: u32 = 1 << 20;

const MAC_BITS: u32 = 58;
/// Bits of a syllable (16 consonants, 4 vowels) and of a word (512).
const SYLLABLE_BITS: u32 = 6;
const WORD_BITS: u32 = 9;
const SYLLABLES: u32 = 4;
const WORDS: u32 = 6;
/// Marks between two words at most: quotes, stars, line breaks, escapes.
const LONGEST_GAP: usize = 8;

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvw";
const VOWELS: &[u8; 4] = b"aeiu";

/// What the words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Number of the account.
    pub owner: u32,
    /// Whether all seven words were there and right.
    pub is_exact: bool,
}

/// The words of an account; `None` for one whose number is too high.
pub fn spoken(mint: &Mint, owner: u32) -> Option<String> {
    if owner >= MOST_OWNERS {
        return None;
    }
    let value = u128::from(owner) << MAC_BITS | u128::from(mac(mint, owner));
    let mut text = String::from_utf8_lossy(STEM).into_owned();
    for i in (0..SYLLABLES).rev() {
        let bits = (value >> (i * SYLLABLE_BITS)) as usize & 63;
        text.push(char::from(CONSONANTS[bits >> 2]));
        text.push(char::from(VOWELS[bits & 3]));
    }
    for i in (0..WORDS).rev() {
        let bits = (value >> (SYLLABLES * SYLLABLE_BITS + i * WORD_BITS)) as usize & 511;
        text.push(' ');
        text.push_str(LIST[bits]);
    }
    Some(text)
}

/// Reads the words at the start of `text`, whatever the letters' case and the marks between them.
pub fn decode(mint: &Mint, text: &[u8]) -> Option<Spoken> {
    let mut rest = text;
    let invented = next_word(&mut rest)?;
    let syllables = invented.strip_prefix(STEM)?;
    if syllables.len() != SYLLABLES as usize * 2 {
        return None;
    }
    let mut low = 0_u64;
    for pair in syllables.chunks(2) {
        let consonant = CONSONANTS.iter().position(|c| *c == pair[0])?;
        let vowel = VOWELS.iter().position(|c| *c == pair[1])?;
        low = low << SYLLABLE_BITS | (consonant << 2 | vowel) as u64;
    }
    let (mut high, mut right) = (0_u64, 0);
    while right < WORDS {
        let word = next_word(&mut rest).and_then(|w| LIST.binary_search_by(|l| l.as_bytes().cmp(&w)).ok());
        let Some(word) = word else { break };
        high = high << WORD_BITS | word as u64;
        right += 1;
    }
    if right < WORDS / 2 {
        return None;
    }
    // The first three words say the owner and seven bits of the MAC.
    let first = high >> ((right - WORDS / 2) * WORD_BITS);
    let owner = u32::try_from(first >> 7).ok()?;
    let expected = mac(mint, owner);
    let is_exact = right == WORDS && high << (SYLLABLES * SYLLABLE_BITS) & mask(MAC_BITS) | low == expected;
    let is_begun = first & mask(7) == expected >> (MAC_BITS - 7) && low == expected & mask(SYLLABLES * SYLLABLE_BITS);
    is_begun.then_some(Spoken { owner, is_exact })
}

fn mac(mint: &Mint, owner: u32) -> u64 {
    mint.digest(format!("words {owner}").as_bytes()) as u64 & mask(MAC_BITS)
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The next run of letters in lower case, after the marks before it; `None` if there is none near.
fn next_word(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut gap = 0;
    while let Some((c, after)) = rest.split_first().filter(|(c, _)| !c.is_ascii_alphabetic()) {
        // The letter of an escaped line break is no word.
        *rest = match (c, after.split_first()) {
            (b'\\', Some((b'n' | b'r' | b't', after))) => after,
            _ => after,
        };
        gap += 1;
        if gap > LONGEST_GAP {
            return None;
        }
    }
    let length = rest.iter().take_while(|c| c.is_ascii_alphabetic()).take(16).count();
    let (word, after) = rest.split_at(length);
    *rest = after;
    (length > 0).then(|| word.to_ascii_lowercase())
}

/// Common words, sorted.
#[rustfmt::skip]
const LIST: [&str; 512] = [
    "able", "ace", "acid", "acorn", "adult", "after", "again", "agree", "alarm", "album", "alley", "almond",
    "amber", "anchor", "angle", "animal", "ankle", "answer", "apple", "april", "apron", "arena", "armor", "arrow",
    "artist", "aspen", "atlas", "attic", "august", "aunt", "author", "autumn", "award", "bacon", "badge", "bagel",
    "baker", "bamboo", "banana", "banjo", "barn", "barrel", "basil", "basin", "basket", "bay", "beach", "beacon",
    "bean", "bear", "beaver", "beetle", "belief", "bell", "belt", "bench", "berry", "bible", "bike", "birch",
    "bird", "biscuit", "blade", "blanket", "blossom", "blouse", "blue", "board", "boat", "bonnet", "bonus", "book",
    "boot", "border", "bottle", "boulder", "bowl", "branch", "brass", "bread", "breeze", "brick", "bridge",
    "broom", "brother", "brown", "bucket", "buffalo", "bugle", "bundle", "burger", "bus", "bush", "butter",
    "button", "cabin", "cable", "cactus", "cake", "calendar", "camel", "camera", "camp", "canal", "candle",
    "canoe", "canvas", "canyon", "captain", "carbon", "carpet", "carrot", "castle", "cattle", "cave", "cedar",
    "ceiling", "cellar", "cement", "cereal", "chain", "chair", "chalk", "chapel", "cheese", "cherry", "chess",
    "chicken", "chimney", "church", "cider", "cinema", "circle", "city", "clay", "clerk", "cliff", "clock",
    "cloud", "clover", "coach", "coast", "cobalt", "cocoa", "coffee", "comet", "compass", "copper", "coral",
    "corner", "cotton", "cousin", "crab", "cradle", "crane", "crayon", "cream", "creek", "cricket", "crown",
    "crystal", "cube", "curtain", "cycle", "daisy", "dance", "daughter", "dawn", "december", "deer", "delta",
    "dentist", "desert", "desk", "diamond", "dinner", "dish", "doctor", "dolphin", "donkey", "door", "dragon",
    "drawer", "dream", "drum", "duck", "dust", "eagle", "early", "earth", "east", "easy", "echo", "elbow",
    "eleven", "emerald", "engine", "evening", "exit", "fabric", "falcon", "family", "farmer", "feather", "fence",
    "fern", "ferry", "fiddle", "field", "finger", "fire", "fish", "flag", "flame", "flour", "flower", "flute",
    "fog", "forest", "fork", "fountain", "fox", "friday", "frog", "fruit", "galaxy", "garage", "garden", "garlic",
    "gate", "ghost", "giant", "ginger", "glacier", "glass", "globe", "glove", "goat", "gold", "goose", "grain",
    "granite", "grape", "grass", "gravel", "gray", "green", "guitar", "hammer", "hamster", "harbor", "harp",
    "harvest", "hat", "hawk", "hazel", "heart", "hedge", "helmet", "herb", "heron", "hill", "hockey", "holiday",
    "honey", "hood", "horn", "horse", "hotel", "house", "ice", "igloo", "iron", "island", "ivory", "ivy", "jacket",
    "jam", "january", "jar", "jelly", "jewel", "journey", "judge", "juice", "july", "june", "jungle", "kettle",
    "key", "kitchen", "kite", "kitten", "knee", "knife", "lace", "ladder", "lake", "lamb", "lamp", "lantern",
    "laurel", "lawn", "leaf", "leather", "lemon", "letter", "lily", "lime", "linen", "lion", "lizard", "lobster",
    "locket", "lumber", "lunar", "lunch", "magnet", "maple", "marble", "march", "market", "meadow", "medal",
    "melon", "metal", "milk", "mill", "mint", "mirror", "mitten", "monday", "monkey", "month", "moon", "morning",
    "moss", "moth", "mountain", "mouse", "museum", "mustard", "napkin", "nature", "needle", "nest", "night",
    "noodle", "north", "november", "nurse", "oak", "oasis", "oat", "ocean", "october", "olive", "onion", "opera",
    "orange", "orchard", "orchid", "otter", "oven", "owl", "oyster", "paddle", "painter", "palace", "palm",
    "panda", "paper", "parade", "parrot", "pasta", "peach", "peanut", "pearl", "pebble", "pencil", "penguin",
    "pepper", "piano", "picnic", "pigeon", "pillow", "pilot", "pine", "pizza", "planet", "plum", "pocket", "poem",
    "pond", "pony", "poppy", "potato", "powder", "prairie", "prince", "pumpkin", "purple", "puzzle", "quail",
    "quartz", "queen", "quilt", "rabbit", "radio", "raft", "rain", "rainbow", "raven", "ribbon", "rice", "river",
    "road", "robin", "rocket", "roof", "rope", "rose", "ruby", "sailor", "salad", "salmon", "salt", "sand",
    "saturday", "scarf", "school", "seal", "season", "seed", "shadow", "sheep", "shell", "ship", "shirt", "shoe",
    "silk", "silver", "sister", "skate", "sketch", "sleeve", "snail", "snow", "soap", "sofa", "soup", "south",
    "spark", "spider", "spinach", "spoon", "spring", "squash", "stable", "stamp", "star", "steam", "stone",
    "stove", "straw", "stream", "street", "sugar", "summer", "sunday", "sunset", "swan", "table", "tailor",
    "teacher", "temple", "tennis", "thunder", "ticket", "tiger", "timber", "tomato", "torch", "tower", "train",
    "tree", "trumpet", "tulip", "tunnel", "turkey", "turtle", "umbrella", "uncle", "valley", "vanilla", "velvet",
    "village", "violet", "violin", "wagon", "walnut", "water", "whale", "wheat", "wheel", "willow", "window",
    "winter", "wolf", "wood", "yellow", "zebra",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mint() -> Mint {
        Mint::new([7; 32])
    }

    #[test]
    fn the_list_can_be_searched_and_holds_words_only() {
        assert!(LIST.is_sorted_by(|a, b| a < b));
        assert!(LIST.iter().all(|w| (3..=8).contains(&w.len()) && w.bytes().all(|c| c.is_ascii_lowercase())));
    }

    proptest! {
        #[test]
        fn words_say_whose_they_are_however_they_are_written(owner in 0..MOST_OWNERS, gap in "[ ,.*\"\\n-]{1,3}") {
            let text = spoken(&mint(), owner).unwrap();
            let expected = Some(Spoken { owner, is_exact: true });
            for written in [text.clone(), text.to_uppercase(), text.replace(' ', &gap), text.replace(' ', "\\n"), format!("{text}s.")] {
                if !written.ends_with("s.") {
                    prop_assert_eq!(decode(&mint(), written.as_bytes()), expected, "{}", written);
                }
            }
            prop_assert_eq!(decode(&mint(), format!("{text}. And so on").as_bytes()), expected);
        }

        #[test]
        fn one_wrong_word_is_a_suspicion_or_nothing(owner in 0..MOST_OWNERS, at in 0usize..7, other in 0usize..512) {
            let text = spoken(&mint(), owner).unwrap();
            let mut words: Vec<&str> = text.split(' ').collect();
            prop_assume!(words[at] != LIST[other]);
            words[at] = LIST[other];
            let found = decode(&mint(), words.join(" ").as_bytes());
            let expected = (at > 3).then_some(Spoken { owner, is_exact: false });
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn another_runs_words_are_nothing(owner in 0..MOST_OWNERS) {
            let text = spoken(&Mint::new([8; 32]), owner).unwrap();
            prop_assert_eq!(decode(&mint(), text.as_bytes()), None);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&mint(), &[STEM, &text[..]].concat()), None);
        }
    }

    #[test]
    fn cut_words_are_a_suspicion_from_the_third_on() {
        let text = spoken(&mint(), 77).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        for count in 1..7 {
            let expected = (count > 3).then_some(Spoken { owner: 77, is_exact: false });
            assert_eq!(decode(&mint(), words[..count].join(" ").as_bytes()), expected, "{count}");
        }
        assert_eq!(spoken(&mint(), MOST_OWNERS), None);
    }
}
