//! A dictionary: each distinct value once, and for each row which it is. The values' hashes are the certificate's, which has them
//! already.

use hashbrown::HashTable;

/// Bytes of a dictionary at most: a reader holds all of it.
const MOST_BYTES: usize = 4 << 20;
/// Places for values that came lately.
const RECENT: usize = 256;
/// Values after which it is clear that nothing comes twice, where nothing does.
pub const PROBE: usize = 2048;

/// The distinct values of a chunk so far.
pub struct Dictionary {
    /// Bytes of the length that stands before each value.
    prefix: usize,
    /// The values as a plain page has them.
    page: Vec<u8>,
    /// Where each value ends.
    ends: Vec<u32>,
    hashes: Vec<u64>,
    table: HashTable<u32>,
    /// Indices of values that came lately, each in the place of its hash: a log says the same again and again.
    recent: Vec<u32>,
    indices: Vec<u32>,
    /// What the rows' values would be as a plain page.
    plain_bytes: usize,
}

impl Dictionary {
    /// For values with a length of so many bytes before them.
    pub fn new(prefix: usize) -> Dictionary {
        Dictionary {
            prefix,
            page: Vec::new(),
            ends: Vec::new(),
            hashes: Vec::new(),
            table: HashTable::new(),
            recent: vec![0; RECENT],
            indices: Vec::new(),
            plain_bytes: 0,
        }
    }

    /// Adds a row's value, which has this hash.
    #[inline]
    pub fn push(&mut self, value: &[u8], hash: u64) {
        self.plain_bytes += self.prefix + value.len();
        let place = hash as usize % RECENT;
        let recent = self.recent[place];
        if self.hashes.get(recent as usize) == Some(&hash) && same(self.value(recent), value) {
            self.indices.push(recent);
            return;
        }
        let found = self.table.find(hash, |index| same(self.value(*index), value)).copied();
        let index = found.unwrap_or_else(|| self.add(value, hash));
        self.recent[place] = index;
        self.indices.push(index);
    }

    fn add(&mut self, value: &[u8], hash: u64) -> u32 {
        let index = self.ends.len() as u32;
        if self.prefix > 0 {
            self.page.extend_from_slice(&(value.len() as u32).to_le_bytes());
        }
        self.page.extend_from_slice(value);
        self.ends.push(self.page.len() as u32);
        self.hashes.push(hash);
        self.table.insert_unique(hash, index, |index| self.hashes[*index as usize]);
        index
    }

    #[inline]
    fn value(&self, index: u32) -> &[u8] {
        let index = index as usize;
        let begin = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.page[begin + self.prefix..self.ends[index] as usize]
    }

    /// The distinct values, in the order of their first rows.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len() as u32).map(|index| self.value(index))
    }

    /// How many distinct values there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Has nothing been pushed?
    pub fn is_new(&self) -> bool {
        self.indices.is_empty()
    }

    /// Hardly a value has come twice among [`PROBE`]: of so many different ones that a dictionary would not pay either after all
    /// rows of a batch.
    pub fn is_hopeless(&self) -> bool {
        self.indices.len() >= PROBE && self.ends.len() * 64 > self.indices.len() * 63
    }

    /// Is a chunk with this dictionary clearly smaller than one without?
    pub fn pays(&self) -> bool {
        let index_bytes = self.indices.len() * usize::from(self.width()) / 8;
        self.page.len() <= MOST_BYTES && (self.page.len() + index_bytes) * 4 <= self.plain_bytes * 3
    }

    /// Bits of an index: whole bytes where it needs more than one, so that the compression sees what repeats.
    pub fn width(&self) -> u8 {
        let bits = super::levels::bits(self.ends.len().saturating_sub(1) as u64);
        if bits > 8 { bits.next_multiple_of(8) } else { bits }
    }

    /// The values as a plain page has them.
    pub fn into_page(self) -> Vec<u8> {
        self.page
    }

    /// The rows' indices.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The rows' values without a dictionary, with room for so many bytes.
    pub fn into_plain(self, room: usize) -> Vec<u8> {
        let mut plain = Vec::with_capacity(self.plain_bytes.max(room));
        for index in &self.indices {
            let begin = if *index == 0 { 0 } else { self.ends[*index as usize - 1] as usize };
            plain.extend_from_slice(&self.page[begin..self.ends[*index as usize] as usize]);
        }
        plain
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.page.len() + self.indices.len() * 4 + self.ends.len() * 16
    }
}

/// Are they equal? A call to compare a few bytes takes longer than to compare them.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.first_chunk::<8>(), a.last_chunk::<8>(), b.first_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(first), Some(last), Some(begin), Some(end)) if a.len() <= 16 => first == begin && last == end,
        _ => match (a.first_chunk::<4>(), a.last_chunk::<4>(), b.first_chunk::<4>(), b.last_chunk::<4>()) {
            (Some(first), Some(last), Some(begin), Some(end)) if a.len() <= 8 => first == begin && last == end,
            _ => a == b,
        },
    }
}
