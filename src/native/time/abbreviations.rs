//! Abbreviations of time zones, as a server reads them by its default list.
//!
//! Input: a word. Output: what it stands for. Invariant: an abbreviation is looked for before a zone of that name, and means one offset at
//! any time of the year. Left out: abbreviations that stand for a zone's own offset of the moment, and lists of a server's own.

/// What a word stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// Seconds east of Greenwich.
    Offset(i64),
    /// The offset that some zone has at the moment in question.
    OfZone,
}

/// The meaning of a word, whatever its case.
pub(super) fn meaning(word: &str) -> Option<Abbreviation> {
    let word = word.to_ascii_lowercase();
    if let Ok(at) = FIXED.binary_search_by(|(known, _)| (*known).cmp(&word)) {
        return Some(Abbreviation::Offset(FIXED[at].1));
    }
    OF_ZONES.split_whitespace().any(|known| known == word).then_some(Abbreviation::OfZone)
}

/// Abbreviations that follow a zone's own history.
const OF_ZONES: &str = "\
    amst anast anat arst art azst azt ckt clt davt easst east fkst fkt gest get gyt iot irkst irkt kgt kost krast \
    krat lhdt lint lkt magst magt mawt msk novst novt nut omsst omst petst pett pyt sgt tkt tmt ulat vet vlast \
    vlat volt yakst yakt yekt";

/// In the order of their bytes.
const FIXED: &[(&str, i64)] = &[
    ("acdt", 37_800),
    ("acsst", 37_800),
    ("acst", 34_200),
    ("act", -18_000),
    ("acwst", 31_500),
    ("adt", -10_800),
    ("aedt", 39_600),
    ("aesst", 39_600),
    ("aest", 36_000),
    ("aft", 16_200),
    ("akdt", -28_800),
    ("akst", -32_400),
    ("almst", 25_200),
    ("almt", 21_600),
    ("amt", -14_400),
    ("ast", -14_400),
    ("awsst", 32_400),
    ("awst", 28_800),
    ("azost", 0),
    ("azot", -3600),
    ("bdst", 7200),
    ("bdt", 21_600),
    ("bnt", 28_800),
    ("bort", 28_800),
    ("bot", -14_400),
    ("bra", -10_800),
    ("brst", -7200),
    ("brt", -10_800),
    ("bst", 3600),
    ("btt", 21_600),
    ("cadt", 37_800),
    ("cast", 34_200),
    ("cct", 28_800),
    ("cdt", -18_000),
    ("cest", 7200),
    ("cet", 3600),
    ("cetdst", 7200),
    ("chadt", 49_500),
    ("chast", 45_900),
    ("chut", 36_000),
    ("clst", -10_800),
    ("cot", -18_000),
    ("cst", -21_600),
    ("cxt", 25_200),
    ("ddut", 36_000),
    ("eat", 10_800),
    ("edt", -14_400),
    ("eest", 10_800),
    ("eet", 7200),
    ("eetdst", 10_800),
    ("egst", 0),
    ("egt", -3600),
    ("est", -18_000),
    ("fet", 10_800),
    ("fjst", 46_800),
    ("fjt", 43_200),
    ("fnst", -3600),
    ("fnt", -7200),
    ("galt", -21_600),
    ("gamt", -32_400),
    ("gft", -10_800),
    ("gilt", 43_200),
    ("gmt", 0),
    ("hkt", 28_800),
    ("hst", -36_000),
    ("ict", 25_200),
    ("idt", 10_800),
    ("irt", 12_600),
    ("ist", 7200),
    ("jayt", 32_400),
    ("jst", 32_400),
    ("kdt", 36_000),
    ("kgst", 21_600),
    ("kst", 32_400),
    ("lhst", 37_800),
    ("ligt", 36_000),
    ("mart", -34_200),
    ("mdt", -21_600),
    ("mest", 7200),
    ("mesz", 7200),
    ("met", 3600),
    ("metdst", 7200),
    ("mez", 3600),
    ("mht", 43_200),
    ("mmt", 23_400),
    ("mpt", 36_000),
    ("msd", 14_400),
    ("mst", -25_200),
    ("must", 18_000),
    ("mut", 14_400),
    ("mvt", 18_000),
    ("myt", 28_800),
    ("ndt", -9000),
    ("nft", -12_600),
    ("npt", 20_700),
    ("nst", -12_600),
    ("nzdt", 46_800),
    ("nzst", 43_200),
    ("nzt", 43_200),
    ("pdt", -25_200),
    ("pet", -18_000),
    ("pgt", 36_000),
    ("pht", 28_800),
    ("pkst", 21_600),
    ("pkt", 18_000),
    ("pmdt", -7200),
    ("pmst", -10_800),
    ("pont", 39_600),
    ("pst", -28_800),
    ("pwt", 32_400),
    ("pyst", -10_800),
    ("ret", 14_400),
    ("sadt", 37_800),
    ("sast", 7200),
    ("sct", 14_400),
    ("taht", -36_000),
    ("tft", 18_000),
    ("tjt", 18_000),
    ("tot", 46_800),
    ("trut", 36_000),
    ("tvt", 43_200),
    ("uct", 0),
    ("ulast", 32_400),
    ("ut", 0),
    ("utc", 0),
    ("uyst", -7200),
    ("uyt", -10_800),
    ("uzst", 21_600),
    ("uzt", 18_000),
    ("vut", 39_600),
    ("wadt", 28_800),
    ("wakt", 43_200),
    ("wast", 25_200),
    ("wat", 3600),
    ("wdt", 32_400),
    ("wet", 0),
    ("wetdst", 3600),
    ("wft", 43_200),
    ("wgst", -7200),
    ("wgt", -10_800),
    ("xjt", 21_600),
    ("yapt", 36_000),
    ("yekst", 21_600),
    ("z", 0),
    ("zulu", 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_offsets() {
        let check = |word: &str, expected: Option<Abbreviation>| assert_eq!(meaning(word), expected, "{word}");
        check("EST", Some(Abbreviation::Offset(-18_000)));
        check("cest", Some(Abbreviation::Offset(7200)));
        check("zulu", Some(Abbreviation::Offset(0)));
        check("MSK", Some(Abbreviation::OfZone));
        check("Japan", None);
        assert!(FIXED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
