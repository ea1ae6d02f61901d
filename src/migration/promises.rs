//! Figures in comments: what does the author promise?
//!
//! Input: a comment line's words. Output: names with figures. Invariant: conservative; only forms that can't be read otherwise
//! count, because a promise is held against the rows. Left out: approximations (`~150`), shares, sizes, decimals.

/// Verbs that say how many rows a statement touches.
const VERBS: [&str; 10] = [
    "affects",
    "affected",
    "deleted",
    "deletes",
    "inserted",
    "inserts",
    "updated",
    "updates",
    "backfills",
    "backfilled",
];

/// The name under which a bare number of rows is promised.
pub const ROWS: &str = "rows";

/// Reads `Expected: filled=1,567, orphans=2,485`, `Expected rows: 1537`, `Expected: no rows`, `Log: Updated 1,537 root jobs`,
/// `Updated 30 rows`.
pub(super) fn figures(comment: &str) -> Vec<(String, u64)> {
    let words = comment.trim().trim_end_matches(['.', '✅', ' ']);
    if let Some(rest) = after_word(words, &["expected", "expect", "expects"]) {
        return expected(rest);
    }
    let (logged, rest) = match after_word(words, &["log"]).and_then(|rest| rest.strip_prefix(':')) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, words),
    };
    let Some(rest) = after_word(rest, &VERBS) else { return Vec::new() };
    let Some((count, rest)) = number(rest) else { return Vec::new() };
    let unit = rest.trim_start();
    let is_rows = after_word(unit, &["row", "rows", "record", "records"]).is_some_and(|tail| tail.trim().is_empty());
    if logged && !unit.is_empty() || is_rows { vec![(ROWS.to_owned(), count)] } else { Vec::new() }
}

/// What stands behind `Expected`: pairs, or one number of rows.
fn expected(rest: &str) -> Vec<(String, u64)> {
    let rest = rest.trim_start();
    let (label, list) = match rest.split_once(':') {
        Some((label, list)) if !label.contains('=') => (label.trim(), list.trim()),
        _ => ("", rest),
    };
    let list = list.trim_matches(['`', ' ']);
    if let Some(pairs) = pairs(list) {
        return pairs;
    }
    if list.eq_ignore_ascii_case("no rows") {
        return vec![(ROWS.to_owned(), 0)];
    }
    let Some((count, unit)) = number(list) else { return Vec::new() };
    let unit = unit.trim();
    let is_rows = |word: &str| ["row", "rows", "records", "record"].iter().any(|w| word.eq_ignore_ascii_case(w));
    let unmistakable = is_rows(unit) || unit.is_empty() && is_rows(label);
    if unmistakable { vec![(ROWS.to_owned(), count)] } else { Vec::new() }
}

/// `filled=1,567, orphans = 2,485`, whole or not at all.
fn pairs(list: &str) -> Option<Vec<(String, u64)>> {
    let mut pairs = Vec::new();
    let mut rest = list;
    loop {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
        let name = &rest[..end];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (count, tail) = number(rest[end..].trim_start().strip_prefix('=')?)?;
        pairs.push((name.to_owned(), count));
        let tail = tail.trim_start();
        if tail.is_empty() {
            return Some(pairs);
        }
        rest = tail.strip_prefix([',', ';']).or_else(|| after_word(tail, &["and"]))?.trim_start();
    }
}

/// A whole number with or without separators of thousands, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let mut end = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    if end == 0 {
        return None;
    }
    let group = |at: usize| {
        bytes.get(at).is_some_and(|b| matches!(b, b',' | b'_' | b'\''))
            && bytes.len() >= at + 4
            && bytes[at + 1..at + 4].iter().all(u8::is_ascii_digit)
            && !bytes.get(at + 4).is_some_and(u8::is_ascii_digit)
    };
    if end <= 3 {
        while group(end) {
            end += 4;
        }
    }
    let rest = &text[end..];
    // 1.5, 30%, 4k and 10MB are no counts of rows.
    let is_decimal = rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if is_decimal || rest.starts_with(|c: char| c == '%' || c.is_alphanumeric()) {
        return None;
    }
    let digits: String = text[..end].chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok().map(|count| (count, rest))
}

/// The text behind its first word, where that is one of these.
fn after_word<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    words.iter().any(|w| text[..end].eq_ignore_ascii_case(w)).then(|| &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(comment: &str, expected: &[(&str, u64)]) {
        let expected: Vec<(String, u64)> = expected.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
        assert_eq!(figures(comment), expected, "{comment}");
    }

    #[test]
    fn named_figures() {
        check(
            "Expected: filled=1,567, orphans=2,485, total=4,052",
            &[("filled", 1567), ("orphans", 2485), ("total", 4052)],
        );
        check("Expected: `total_tables=15, new_tables=7` ✅", &[("total_tables", 15), ("new_tables", 7)]);
        check("expect a = 1 and b = 2_000.", &[("a", 1), ("b", 2000)]);
        check("Expected: filled=some", &[]);
        check("Expected: filled=1,567 orphans", &[]);
    }

    #[test]
    fn rows() {
        check("Expected rows: 1537", &[("rows", 1537)]);
        check("Expected: 30 rows", &[("rows", 30)]);
        check("Log: Updated 1,537 root jobs", &[("rows", 1537)]);
        check("Updated 30 rows.", &[("rows", 30)]);
        check("Affects 4,052 rows", &[("rows", 4052)]);
        check("expect: no rows", &[("rows", 0)]);
        check("Expected no rows.", &[("rows", 0)]);
    }

    #[test]
    fn prose_promises_nothing() {
        for comment in [
            "Updated in 2026",
            "Updated 30 jobs with parents",
            "Expected to take 30 seconds",
            "Expected: about 30 rows",
            "Expected: ~30 rows",
            "Expected: 1.5 rows",
            "Expected growth: 30%",
            "Log: Updated",
            "Step 5: Backfill 30 rows",
            "Unexpected: a=1",
            "Expected rows: 12,34",
        ] {
            check(comment, &[]);
        }
    }
}
