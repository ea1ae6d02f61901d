//! The built-in snapshot: a small log that reproduces every published figure of the real one at once.
//!
//! Output: 4,052 rows, always the same. Nothing in them is real, except how many there are of each kind:
//!
//! | of the rows | there are |
//! |---|---|
//! | ENRICHED, CREATED, CORRECTED, CACHED by the backfill's rules | 3,770, 266, 15, 1 |
//! | with `is_root_job` | 1,537 |
//! | with a parent | 30, up to three hops deep |
//! | with neither | 2,485: 2,443 have a job id, the 42 oldest have none |
//!
//! Rows whose status is FAILED are all of ENRICHED operations, so the backfill's FAILED rule takes none of them.

use std::collections::BTreeSet;

use anyhow::Result;
use chrono::NaiveDate;
use uuid::Uuid;

use super::calendar::Calendar;
use super::draw::Draw;
use super::shape::{self, Row, Status, Text};
use super::vocabulary::{self as v, Subject, Work};
use crate::snapshot::manifest::{self, DataFile, Manifest, RelationSizes, Source};

/// Rows in all.
pub const ROWS: usize = 4_052;

const SEED: u64 = 4_052;
/// Rows without a job id: written before jobs were tracked.
const ORPHANS: usize = 42;
/// Of those, what the fallback rule takes.
const ORPHANS_CREATED: usize = 4;
const CORRECTIONS: usize = 15;
/// Flagged rows that create an album.
const CREATIONS: usize = 200;
const CREATED: usize = 266;
const ENRICHED: usize = 3_770;
const ROOT_FLAGGED: usize = 1_537;
const WITH_PARENT: usize = 30;
const UNFLAGGED: usize = ROWS - ORPHANS - ROOT_FLAGGED - WITH_PARENT;

/// The families: what a creating job's descendants are.
const FAMILIES: [Family; 11] = {
    const DEEP: Family = Family { enrichment_rows: 1, tracks: 2, track_artist: true, artist: false };
    const MIDDLE: Family = Family { enrichment_rows: 1, tracks: 1, track_artist: false, artist: true };
    const FLAT: Family = Family { enrichment_rows: 1, tracks: 0, track_artist: false, artist: true };
    const TWICE: Family = Family { enrichment_rows: 2, tracks: 0, track_artist: false, artist: false };
    const ONCE: Family = Family { enrichment_rows: 1, tracks: 0, track_artist: false, artist: false };
    [FLAT, MIDDLE, ONCE, DEEP, FLAT, MIDDLE, DEEP, TWICE, MIDDLE, DEEP, FLAT]
};
const FAMILY_ENRICHED: usize = 12;

#[derive(Debug, Clone, Copy)]
struct Family {
    enrichment_rows: usize,
    tracks: usize,
    track_artist: bool,
    artist: bool,
}

/// A job before it has a time: its first row, and how many more it writes.
#[derive(Debug, Clone, Copy)]
struct Job {
    kind: Kind,
    /// The first row says `is_root_job`.
    flagged: bool,
    /// Rows behind the first; never flagged.
    more_rows: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Enrich,
    Create(Option<Family>),
    Correct,
    Cache,
}

/// The rows, by `created_at`.
///
/// # Panics
/// Never, by a test: the quotas add up.
pub fn rows() -> Vec<Row> {
    let mut plan = Draw::new(SEED, 0);
    let jobs = jobs(&mut plan);
    let first_day = NaiveDate::from_ymd_opt(2025, 9, 1).unwrap_or_default();
    // 161 days, and the last one until a quarter to eight in the evening, when the backfill was written.
    let calendar = Calendar::new(first_day, 161 * 24 + 19, 1.006, &mut Draw::new(SEED, 1));
    let slots = ORPHANS + jobs.len();
    let mut times: Vec<i64> =
        (0..slots).map(|slot| calendar.at_us((slot as f64 + plan.unit()) / slots as f64)).collect();
    times.sort_unstable();
    let mut log = Log {
        draw: Draw::new(SEED, 2),
        rows: Vec::with_capacity(ROWS),
        albums: vec![],
        artists: BTreeSet::new(),
        waiting: vec![],
    };
    for (number, time_us) in times[..ORPHANS].iter().enumerate() {
        log.orphan(number, *time_us);
    }
    for (job, time_us) in jobs.iter().zip(&times[ORPHANS..]) {
        log.job(job, *time_us);
    }
    log.rows.sort_by_key(|row| row.created_at_us);
    // One service left out its name.
    if let Some(row) = log.rows.iter_mut().find(|row| row.operation == "discogs:release-search") {
        row.sources = Some(v::SOURCES_WITH_NULL);
    }
    log.rows
}

/// The jobs in the order they run, so that their rows add up to the published figures.
fn jobs(draw: &mut Draw) -> Vec<Job> {
    let family_created = WITH_PARENT - FAMILY_ENRICHED;
    let created_steps = CREATED - ORPHANS_CREATED - family_created - CREATIONS;
    let enriched_flagged = ROOT_FLAGGED - CREATIONS - CORRECTIONS;
    let enriched = ENRICHED - (ORPHANS - ORPHANS_CREATED) - FAMILY_ENRICHED;
    let mut steps = UNFLAGGED - created_steps - 1;
    debug_assert_eq!(enriched, enriched_flagged + steps);

    let job = |kind, flagged| Job { kind, flagged, more_rows: 0 };
    let mut jobs = vec![job(Kind::Enrich, true); enriched_flagged];
    // About half of the other rows belong to flagged jobs, the rest to jobs from before the flag was written.
    for _ in 0..steps * 11 / 20 {
        let index = draw.index(enriched_flagged);
        jobs[index].more_rows += 1;
        steps -= 1;
    }
    while steps > 0 {
        let rows = (1 + draw.index(2)).min(steps);
        jobs.push(Job { more_rows: rows - 1, ..job(Kind::Enrich, false) });
        steps -= rows;
    }
    jobs.extend(vec![job(Kind::Correct, true); CORRECTIONS]);
    jobs.push(job(Kind::Cache, false));
    let mut creations = vec![job(Kind::Create(None), true); CREATIONS - FAMILIES.len()];
    for creation in creations.iter_mut().take(created_steps) {
        creation.more_rows = 1;
    }
    jobs.extend(creations);
    draw.shuffle(&mut jobs);
    // Parents were logged only in the last weeks.
    for (number, family) in FAMILIES.iter().enumerate() {
        jobs.insert(jobs.len() - 12 - number * 21, job(Kind::Create(Some(*family)), true));
    }
    jobs
}

/// The log while it is being written.
struct Log {
    draw: Draw,
    rows: Vec<Row>,
    albums: Vec<Subject>,
    /// Artists that the log has named.
    artists: BTreeSet<Uuid>,
    /// Albums that were created and not enriched yet.
    waiting: Vec<Subject>,
}

impl Log {
    /// A row from before jobs were tracked.
    fn orphan(&mut self, number: usize, time_us: i64) {
        let created = number % 10 == 7 && number < ORPHANS_CREATED * 10;
        let work = if created { self.draw.weighted(v::CREATE_ALBUM) } else { v::ENRICH_ALBUM };
        let subject = self.new_album();
        let status = if created { Status::Success } else { self.enriched_status() };
        self.push(work, status, &subject, time_us);
    }

    fn job(&mut self, job: &Job, time_us: i64) {
        match job.kind {
            Kind::Enrich => self.enrich(job, time_us),
            Kind::Create(family) => self.create(job, family, time_us),
            Kind::Correct => self.correct(time_us),
            Kind::Cache => {
                let subject = self.known_album();
                let id = format!("cache-artwork-{}", self.draw.uuid());
                let row = self.push(v::CACHE, Status::Success, &subject, time_us);
                row.job_id = Some(Text::Owned(id));
                row.triggered_by = Some("system".into());
            }
        }
    }

    /// A job that enriches, looks up or checks: one row for the job, then one for each call it made.
    fn enrich(&mut self, job: &Job, time_us: i64) {
        let check = self.draw.weighted(v::CHECKS);
        let heads = [(v::ENRICH_ALBUM, 62), (v::ENRICH_ARTIST, 20), (v::ENRICH_TRACK, 7), (v::PREVIEW, 3), (check, 8)];
        let head = self.draw.weighted(&heads);
        let mut subject = self.album_to_enrich();
        let steps = match head.entity {
            shape::EntityType::Album => v::ALBUM_STEPS,
            shape::EntityType::Artist => {
                subject.album = None;
                v::ARTIST_STEPS
            }
            shape::EntityType::Track => {
                subject.track = Some(self.draw.uuid());
                v::TRACK_STEPS
            }
        };
        let name = match head.operation.split_once(':') {
            Some(("enrichment", what)) => format!("enrich-{what}"),
            Some((verb, what)) => format!("{verb}-{what}"),
            None => "preview-album".to_owned(),
        };
        let id = format!("{name}-{}", self.draw.uuid());
        let by = self.draw.weighted(&[("system", 12), ("scheduler", 6), ("user", 5), ("recommendation", 3)]);
        let user = (by == "user" || by == "recommendation").then(|| v::user_id(self.draw.below(137)));
        let mut time_us = time_us;
        for number in 0..=job.more_rows {
            let work = if number == 0 { head } else { self.draw.weighted(steps) };
            let status = self.enriched_status();
            let preview = (work == v::PREVIEW).then(|| v::preview(&subject, &mut self.draw));
            let row = self.push(work, status, &subject, time_us);
            row.job_id = Some(Text::Owned(id.clone()));
            row.is_root_job = job.flagged && number == 0;
            row.triggered_by = Some(by.into());
            row.user_id = user.clone().map(Text::Owned);
            if let Some(preview) = preview {
                // Nothing is changed by a preview, so no entity is named as changed.
                (row.preview_data, row.entity_id) = (Some(Text::Owned(preview)), None);
            }
            time_us += self.pause_us(900);
        }
    }

    fn create(&mut self, job: &Job, family: Option<Family>, time_us: i64) {
        let known_before = self.artists.len();
        let subject = self.new_album();
        let artist_work = if self.artists.len() > known_before { v::CREATE_ARTIST } else { v::LINK_ARTIST };
        let id = format!("album-create-{}", subject.album.unwrap_or_default());
        let user = v::user_id(self.draw.below(137));
        let work = self.draw.weighted(v::CREATE_ALBUM);
        let row = self.push(work, Status::Success, &subject, time_us);
        row.job_id = Some(Text::Owned(id.clone()));
        row.is_root_job = job.flagged;
        row.triggered_by = Some("user".into());
        row.user_id = Some(Text::Owned(user));
        let mut time_us = time_us;
        for _ in 0..job.more_rows {
            time_us += self.pause_us(60);
            let row = self.push(artist_work, Status::Success, &subject, time_us);
            row.job_id = Some(Text::Owned(id.clone()));
            row.triggered_by = Some("system".into());
        }
        match family {
            Some(family) => self.family(&family, artist_work, &subject, &id, time_us),
            None => self.waiting.push(subject),
        }
    }

    /// The descendants of an album's creation, each in a job of its own.
    fn family(&mut self, family: &Family, artist_work: Work, subject: &Subject, root: &str, time_us: i64) {
        let mut time_us = time_us + self.pause_us(40);
        if family.artist {
            // An artist is created once and linked often; the time tells the links apart.
            let id = match artist_work == v::CREATE_ARTIST {
                true => format!("artist-create-{}", subject.artist.unwrap_or_default()),
                false => format!("artist-link-{}", time_us / 1_000),
            };
            self.child(artist_work, Status::Success, subject, &id, root, time_us);
        }
        let enrichment = format!("enrich-album-{}", self.draw.uuid());
        for number in 1..=family.enrichment_rows {
            time_us += self.pause_us(2_500);
            let last = number == family.enrichment_rows;
            let status = if last { Status::Completed } else { Status::InProgress };
            self.child(v::ENRICH_ALBUM, status, subject, &enrichment, root, time_us);
        }
        for number in 0..family.tracks {
            time_us += self.pause_us(70);
            let track = self.draw.uuid();
            let subject = Subject { track: Some(track), ..*subject };
            let id = format!("track-create-{track}");
            self.child(v::CREATE_TRACK, Status::Success, &subject, &id, &enrichment, time_us);
            if family.track_artist && number == 0 {
                time_us += self.pause_us(20);
                let guest = Subject { artist: Some(self.draw.uuid()), ..subject };
                let artist_job = format!("artist-track-{}-0", time_us / 1_000);
                self.child(v::CREATE_TRACK_ARTIST, Status::Success, &guest, &artist_job, &id, time_us);
            }
        }
    }

    fn child(&mut self, work: Work, status: Status, subject: &Subject, id: &str, parent: &str, time_us: i64) {
        let row = self.push(work, status, subject, time_us);
        row.job_id = Some(Text::Owned(id.to_owned()));
        row.parent_job_id = Some(Text::Owned(parent.to_owned()));
        row.triggered_by = Some("system".into());
    }

    fn correct(&mut self, time_us: i64) {
        let subject = self.known_album();
        let id = format!("admin-correction-{}", self.draw.uuid());
        let reason = v::reason(&mut self.draw);
        let admin = v::user_id(self.draw.below(3));
        let row = self.push(v::CORRECTION, Status::Success, &subject, time_us);
        row.job_id = Some(Text::Owned(id));
        row.is_root_job = true;
        row.triggered_by = Some("admin".into());
        row.user_id = Some(Text::Owned(admin));
        row.reason = Some(reason.into());
    }

    fn push(&mut self, work: Work, status: Status, subject: &Subject, time_us: i64) -> &mut Row {
        let mut row = Row::new(self.draw.uuid(), work.operation, status, time_us);
        v::describe(&mut row, &work, subject, &mut self.draw);
        let at = self.rows.len();
        self.rows.push(row);
        &mut self.rows[at]
    }

    fn enriched_status(&mut self) -> Status {
        self.draw.weighted(&[
            (Status::Success, 52),
            (Status::Completed, 22),
            (Status::PartialSuccess, 8),
            (Status::NoDataAvailable, 7),
            (Status::Failed, 7),
            (Status::Skipped, 3),
            (Status::Pending, 1),
        ])
    }

    /// Whole milliseconds, some `median_ms` of them.
    fn pause_us(&mut self, median_ms: u32) -> i64 {
        (f64::from(median_ms) * self.draw.log_normal()) as i64 * 1_000 + 1_000
    }

    fn new_album(&mut self) -> Subject {
        let known_artist = (!self.albums.is_empty() && self.draw.chance(0.4)).then(|| self.known_album().artist);
        let artist = known_artist.flatten().unwrap_or_else(|| self.draw.uuid());
        let bits = self.draw.bits() & 0xFFFF | artist.as_u128() as u64 & !0xFFFF;
        let subject = Subject { artist: Some(artist), album: Some(self.draw.uuid()), track: None, bits };
        self.albums.push(subject);
        self.artists.insert(artist);
        subject
    }

    fn known_album(&mut self) -> Subject {
        self.albums[self.draw.index(self.albums.len())]
    }

    fn album_to_enrich(&mut self) -> Subject {
        if self.draw.chance(0.4)
            && let Some(subject) = self.waiting.pop()
        {
            return subject;
        }
        if self.draw.chance(0.9) { self.new_album() } else { self.known_album() }
    }
}

/// Sizes of the rows in PostgreSQL 15.18, measured once: `schema.sql`, then `COPY` of `llama_logs.csv`.
const SIZES: RelationSizes =
    RelationSizes { heap_bytes: 1_818_624, index_bytes: 1_368_064, toast_bytes: 8_192, total_bytes: 3_219_456 };

/// The same for each index, by name.
const INDEX_BYTES: [(&str, u64); 11] = [
    ("llama_logs_album_id_idx", 106_496),
    ("llama_logs_artist_id_idx", 90_112),
    ("llama_logs_entity_type_entity_id_idx", 163_840),
    ("llama_logs_is_root_job_created_at_idx", 155_648),
    ("llama_logs_operation_idx", 65_536),
    ("llama_logs_parent_job_id_idx", 57_344),
    ("llama_logs_pkey", 172_032),
    ("llama_logs_sources_idx", 294_912),
    ("llama_logs_status_created_at_idx", 155_648),
    ("llama_logs_track_id_idx", 49_152),
    ("llama_logs_user_id_idx", 57_344),
];

/// The demo's manifest around its Parquet file.
///
/// # Errors
/// None in practice.
pub fn manifest(rows: &[Row], file: DataFile) -> Result<Manifest> {
    let mut table = shape::table(rows.len() as u64, vec![file], Some(SIZES));
    for index in &mut table.indexes {
        index.size_bytes = INDEX_BYTES.iter().find(|(name, _)| *name == index.name).map(|(_, bytes)| *bytes);
    }
    Ok(Manifest {
        format_version: manifest::FORMAT_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: Manifest::content_id(table.files.iter().map(|file| file.sha256.as_str())),
        captured_at: super::rfc3339(rows.iter().map(|row| row.created_at_us).max().unwrap_or_default()),
        source: Source::Synthetic {
            description:
                "the built-in demo: 4,052 made-up rows with the shape and the published figures of a real log; \
                          sizes are those of these rows in PostgreSQL 15"
                    .to_owned(),
        },
        enums: shape::enums(),
        masking: None,
        tables: vec![table],
    })
}
