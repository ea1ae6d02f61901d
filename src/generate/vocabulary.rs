//! What a music service's log talks about: operations with what they usually do, names, failures, reasons.
//!
//! Output: constants, and [`describe`], which fills in the particulars of a row the way its operation and status ask. All names of
//! artists and albums are made up.

use uuid::Uuid;

use super::draw::Draw;
use super::jsonb::Object;
use super::shape::{EntityType, Quality, Row, Status, Strings, Text};

/// An operation and what is usual for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// The `operation` column.
    pub operation: &'static str,
    /// What it works on.
    pub entity: EntityType,
    /// Where its data comes from.
    pub sources: Option<Strings>,
    /// Fields it may fill in.
    pub fields: Strings,
    /// Median duration.
    pub duration_ms: u32,
    /// Median number of calls to other services.
    pub api_calls: u32,
}

const fn work(
    operation: &'static str,
    entity: EntityType,
    sources: Option<Strings>,
    fields: Strings,
    duration_ms: u32,
    api_calls: u32,
) -> Work {
    Work { operation, entity, sources, fields, duration_ms, api_calls }
}

use EntityType::{Album, Artist, Track};

const BOTH: Option<Strings> = Some(&[Some("MUSICBRAINZ"), Some("SPOTIFY")]);
const MUSICBRAINZ: Option<Strings> = Some(&[Some("MUSICBRAINZ")]);
const SPOTIFY: Option<Strings> = Some(&[Some("SPOTIFY")]);
const DISCOGS: Option<Strings> = Some(&[Some("DISCOGS")]);
const ADMIN: Option<Strings> = Some(&[Some("ADMIN")]);
const ALBUM_FIELDS: Strings = &[
    Some("musicbrainzId"),
    Some("releaseDate"),
    Some("genres"),
    Some("label"),
    Some("barcode"),
    Some("spotifyId"),
    Some("cloudflareImageId"),
];
const ARTIST_FIELDS: Strings = &[
    Some("musicbrainzId"),
    Some("country"),
    Some("formedYear"),
    Some("genres"),
    Some("biography"),
    Some("spotifyId"),
    Some("imageUrl"),
];
const TRACK_FIELDS: Strings = &[Some("musicbrainzId"), Some("isrc"), Some("durationMs"), Some("spotifyId")];
const NAME: Strings = &[Some("name"), Some("musicbrainzId")];
const TITLE: Strings = &[Some("title"), Some("releaseDate"), Some("albumType")];
const TRACK_TITLE: Strings = &[Some("title"), Some("trackNumber"), Some("durationMs")];

/// `enrichment:album`
pub const ENRICH_ALBUM: Work = work("enrichment:album", Album, BOTH, ALBUM_FIELDS, 2_400, 4);
/// `enrichment:artist`
pub const ENRICH_ARTIST: Work = work("enrichment:artist", Artist, BOTH, ARTIST_FIELDS, 1_900, 3);
/// `enrichment:track`
pub const ENRICH_TRACK: Work = work("enrichment:track", Track, MUSICBRAINZ, TRACK_FIELDS, 850, 2);
/// What enrichment does on its way, by album.
pub const ALBUM_STEPS: &[(Work, u32)] = &[
    (work("musicbrainz:release-lookup", Album, MUSICBRAINZ, ALBUM_FIELDS, 620, 1), 8),
    (work("musicbrainz:release-group-search", Album, MUSICBRAINZ, &[Some("musicbrainzId")], 740, 2), 4),
    (work("spotify:album-search", Album, SPOTIFY, &[Some("spotifyId"), Some("genres")], 310, 1), 6),
    (work("discogs:release-search", Album, DISCOGS, &[Some("label"), Some("barcode")], 980, 1), 2),
    (work("check:album-duplicates", Album, Some(&[]), &[], 45, 0), 3),
];
/// What enrichment does on its way, by artist.
pub const ARTIST_STEPS: &[(Work, u32)] = &[
    (work("musicbrainz:artist-search", Artist, MUSICBRAINZ, ARTIST_FIELDS, 690, 1), 7),
    (work("spotify:artist-lookup", Artist, SPOTIFY, &[Some("spotifyId"), Some("imageUrl")], 280, 1), 5),
    (work("discogs:artist-lookup", Artist, DISCOGS, &[Some("biography")], 870, 1), 3),
    (work("check:artist-duplicates", Artist, None, &[], 38, 0), 2),
];
/// What enrichment does on its way, by track.
pub const TRACK_STEPS: &[(Work, u32)] = &[
    (work("musicbrainz:recording-lookup", Track, MUSICBRAINZ, TRACK_FIELDS, 540, 1), 6),
    (work("spotify:track-search", Track, SPOTIFY, &[Some("spotifyId"), Some("isrc")], 260, 1), 3),
];
/// Looking at what is there already.
pub const CHECKS: &[(Work, u32)] = &[
    (work("check:album-metadata", Album, None, &[], 60, 0), 4),
    (work("check:spotify-link", Album, SPOTIFY, &[], 240, 1), 3),
    (work("check:artist-image", Artist, SPOTIFY, &[], 210, 1), 2),
];
/// `PREVIEW_ENRICHMENT`, the one operation written in capitals.
pub const PREVIEW: Work = work("PREVIEW_ENRICHMENT", Album, BOTH, ALBUM_FIELDS, 1_700, 3);
/// `admin_correction`
pub const CORRECTION: Work = work("admin_correction", Album, ADMIN, ALBUM_FIELDS, 180, 1);
/// `cache:album-artwork`
pub const CACHE: Work =
    work("cache:album-artwork", Album, Some(&[Some("CLOUDFLARE")]), &[Some("cloudflareImageId")], 1_300, 2);
/// How an album gets into the database.
pub const CREATE_ALBUM: &[(Work, u32)] = &[
    (work("album:created:recommendation", Album, Some(&[Some("USER"), Some("MUSICBRAINZ")]), TITLE, 140, 1), 8),
    (work("album:created:collection", Album, Some(&[Some("USER")]), TITLE, 120, 0), 4),
    (work("album:created:spotify-sync", Album, SPOTIFY, TITLE, 95, 1), 5),
    (work("album:created:musicbrainz-sync", Album, MUSICBRAINZ, TITLE, 130, 1), 2),
    (work("album:created:search", Album, MUSICBRAINZ, TITLE, 150, 1), 3),
];
/// `artist:created:album-child`
pub const CREATE_ARTIST: Work = work("artist:created:album-child", Artist, MUSICBRAINZ, NAME, 70, 0);
/// `artist:linked:album-association`
pub const LINK_ARTIST: Work = work("artist:linked:album-association", Artist, MUSICBRAINZ, &[], 25, 0);
/// `track:created:enrichment`
pub const CREATE_TRACK: Work = work("track:created:enrichment", Track, MUSICBRAINZ, TRACK_TITLE, 35, 0);
/// `artist:created:track-child`
pub const CREATE_TRACK_ARTIST: Work = work("artist:created:track-child", Artist, MUSICBRAINZ, NAME, 65, 0);
/// `artist:linked:track-association`
pub const LINK_TRACK_ARTIST: Work = work("artist:linked:track-association", Artist, MUSICBRAINZ, &[], 22, 0);

/// `sources` with an unknown one in it: what a service left out.
pub const SOURCES_WITH_NULL: Strings = &[Some("DISCOGS"), None];

/// Code, message, weight.
const FAILURES: &[((&str, &str), u32)] = &[
    (("RATE_LIMITED", "MusicBrainz answered 503: too many requests, retry after 1 s"), 9),
    (("TIMEOUT", "no answer from api.spotify.com within 10000 ms"), 7),
    (("NOT_FOUND", "no release matches the given barcode"), 5),
    (("ECONNRESET", "socket hang up"), 3),
    (("INVALID_RESPONSE", "expected JSON, got \"<!DOCTYPE html>\", line 1"), 2),
    (("P2002", "Unique constraint failed on the fields: (`musicbrainz_id`)"), 2),
];

const REASONS: [&str; 6] = [
    "wrong release group",
    "duplicate of another pressing, merged",
    "missing tracks; taken from Discogs",
    "artist's name was mis-spelt: \"Mötley\", not \"Motley\"",
    "release date is the reissue's",
    "cover belonged to the single",
];

#[rustfmt::skip]
const FIRST: [&str; 32] = [
    "Amber", "Paper", "Silent", "Northern", "Velvet", "Broken", "Golden", "Distant", "Électrique", "Hollow", "Crimson",
    "Ñandú", "Glass", "Midnight", "Öde", "Static", "Wandering", "Tidal", "Pale", "Neon", "Второй", "Lunar", "Rusted",
    "Ghost", "夜の", "Feral", "Quiet", "Magnetic", "Slow", "Winter", "Solar", "Červený",
];
#[rustfmt::skip]
const SECOND: [&str; 32] = [
    "Harbour", "Lions", "Cartographers", "Machine", "Orchard", "Parade", "Signals", "Straße", "Antenna", "Océan",
    "Rivers", "Letters", "Foxes", "Kingdom", "電車", "Gardens", "Engines", "Mirrors", "Свет", "Summer", "Company",
    "Bridges", "Lanterns", "Weather", "Señales", "Comets", "Choir", "Þoka", "Wolves", "Atlas", "Telegraph", "Skyline",
];

/// A made-up name; the same bits give the same name.
pub fn name(bits: u64) -> String {
    let (first, second) = (FIRST[(bits & 31) as usize], SECOND[(bits >> 5 & 31) as usize]);
    match bits >> 10 & 7 {
        0 => format!("The {first} {second}"),
        1 => format!("{second} & {first}"),
        _ => format!("{first} {second}"),
    }
}

/// The entities that a row names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject {
    /// The artist.
    pub artist: Option<Uuid>,
    /// The album.
    pub album: Option<Uuid>,
    /// The track.
    pub track: Option<Uuid>,
    /// Decides the names.
    pub bits: u64,
}

/// Fills in what the operation and the row's status ask for: entity, sources, fields, quality, error, time, calls, metadata.
pub fn describe(row: &mut Row, work: &Work, subject: &Subject, draw: &mut Draw) {
    row.entity_type = Some(work.entity);
    row.entity_id = match work.entity {
        Artist => subject.artist,
        Album => subject.album,
        Track => subject.track,
    };
    (row.artist_id, row.album_id, row.track_id) = (subject.artist, subject.album, subject.track);
    row.sources = work.sources;
    let spread = draw.log_normal();
    row.duration_ms = Some((f64::from(work.duration_ms) * spread) as i32 + 1);
    row.api_call_count = work.api_calls as i32 + i32::from(spread > 1.8 && work.api_calls > 0);
    match row.status {
        Status::Failed => fail(row, draw),
        Status::Pending | Status::InProgress => {
            (row.duration_ms, row.api_call_count) = (None, 0);
            row.sources = Some(&[]);
        }
        Status::NoDataAvailable | Status::Skipped => row.fields_enriched = Some(&[]),
        Status::Completed | Status::Success | Status::PartialSuccess => {
            let filled = if work.fields.is_empty() { 0 } else { 1 + draw.index(work.fields.len()) };
            row.fields_enriched = Some(&work.fields[..filled]);
            if filled > 0 {
                let before = draw.weighted(&[(Quality::Low, 5), (Quality::Medium, 4), (Quality::High, 1)]);
                row.data_quality_before = Some(before);
                row.data_quality_after =
                    Some(if filled > 2 || before == Quality::High { Quality::High } else { Quality::Medium });
            }
        }
    }
    row.metadata = metadata(row, work, subject, draw).map(Text::Owned);
}

fn fail(row: &mut Row, draw: &mut Draw) {
    let (code, message) = draw.weighted(FAILURES);
    row.error_code = Some(Text::Borrowed(code));
    row.error_message = Some(Text::Borrowed(message));
    row.retry_count = draw.weighted(&[(0, 3), (1, 3), (2, 2), (3, 4)]);
    row.fields_enriched = Some(&[]);
}

fn metadata(row: &Row, work: &Work, subject: &Subject, draw: &mut Draw) -> Option<String> {
    let object = Object::new();
    let object = match row.status {
        Status::Pending | Status::InProgress => return None,
        Status::NoDataAvailable => object.plain("candidates", draw.below(3)).plain("threshold", 0.8),
        Status::Skipped => object.text("skipReason", draw.pick(&["enriched recently", "locked by an administrator"])),
        Status::Failed => object.plain("attempt", row.retry_count + 1).plain("willRetry", row.retry_count < 3),
        _ => match work.entity {
            Track => object
                .plain("trackNumber", 1 + draw.below(14))
                .plain("discNumber", 1)
                .text("mbRecordingId", &draw.uuid().to_string()),
            Artist if row.operation.contains("linked") => {
                object.plain("existingEntity", true).text("associationType", "album-artist")
            }
            _ if work.fields.is_empty() => return None,
            Artist => object.text("artistName", &name(subject.bits >> 16)).plain("score", 80 + draw.below(21)),
            Album => object
                .text("albumTitle", &name(subject.bits))
                .text("artistName", &name(subject.bits >> 16))
                .plain("confidence", (61 + draw.below(39)) as f64 / 100.0)
                .texts("matchedBy", if draw.chance(0.5) { &["title", "artist"] } else { &["barcode"] }),
        },
    };
    Some(object.finish())
}

/// What `PREVIEW_ENRICHMENT` shows before anything is changed.
pub fn preview(subject: &Subject, draw: &mut Draw) -> String {
    let fields = Object::new()
        .text("label", &format!("{} Records", name(subject.bits >> 24)))
        .text("releaseDate", &format!("{}-{:02}-{:02}", 1965 + draw.below(60), 1 + draw.below(12), 1 + draw.below(28)))
        .texts("genres", if draw.chance(0.5) { &["shoegaze", "dream pop"] } else { &["chanson"] });
    Object::new().text("title", &name(subject.bits)).object("fields", fields).plain("applied", false).finish()
}

/// Why an administrator stepped in.
pub fn reason(draw: &mut Draw) -> &'static str {
    draw.pick(&REASONS)
}

/// A user's id, as the `cuid` library makes them.
pub fn user_id(number: u64) -> String {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut id = String::from("cm");
    for _ in 0..23 {
        bits ^= bits >> 27;
        bits = bits.wrapping_mul(0x94D0_49BB_1331_11EB).wrapping_add(number);
        id.push(char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(bits >> 40) as usize % 36]));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_fit_their_column() {
        for (work, _) in [ALBUM_STEPS, ARTIST_STEPS, TRACK_STEPS, CHECKS, CREATE_ALBUM].concat() {
            assert!(work.operation.len() <= 100 && work.operation.contains(':'));
        }
        assert!(FAILURES.iter().all(|((code, _), _)| code.len() <= 50));
    }

    #[test]
    fn users_have_ids_of_their_own() {
        let ids: std::collections::BTreeSet<String> = (0..500).map(user_id).collect();
        assert_eq!(ids.len(), 500);
        assert!(ids.iter().all(|id| id.len() == 25));
    }
}
