//! What an archive of N albums consists of: the rows of album i, worked out from the seed and i alone.
//!
//! Input: seed, number of albums, share of defects. Output: the rows of any album, in any order of asking. Invariants: no state is
//! carried from album to album (ids of earlier ones are computed again), so chunks can be made on any number of threads; an album's
//! rows begin no earlier than its slot, and slots follow each other in time. Left out: writing (`generate::write`).
//!
//! An album writes about nine rows: the job that creates it, a child job that enriches it, jobs for its artist and each of its tracks
//! below those, and now and then a later job about an album that is there already.

use chrono::NaiveDate;
use uuid::Uuid;

use super::calendar::Calendar;
use super::draw::Draw;
use super::shape::{EntityType, Row, Status, Text};
use super::vocabulary::{self as v, Subject, Work};
use crate::cli::Pathologies;

/// Days that an archive covers; it ends when the demo does.
const DAYS: usize = 270;
/// The calendar's own stream of the seed; albums have theirs by number.
const CALENDAR_STREAM: u64 = u64::MAX;

/// A defect that an album's job chain can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    /// The enrichment has a second row with another parent, which leads to another root.
    AmbiguousParent,
    /// The enrichment's parent was never logged.
    DanglingParent,
    /// Up to 25 jobs between the track and the album.
    DeepChain,
    /// The enrichment hangs below a ring of three to seven jobs.
    LongCycle,
    /// The enrichment has a second row without a parent.
    MixedParent,
    /// Tracks without job ids, though with a parent.
    NoJobId,
    /// Flags that contradict the parents.
    RootFlagMismatch,
    /// The enrichment is its own parent.
    SelfReference,
    /// The creation and the enrichment are each other's parents.
    TwoCycle,
}

impl Defect {
    /// Every kind, by name.
    pub const ALL: [Defect; 9] = [
        Defect::AmbiguousParent,
        Defect::DanglingParent,
        Defect::DeepChain,
        Defect::LongCycle,
        Defect::MixedParent,
        Defect::NoJobId,
        Defect::RootFlagMismatch,
        Defect::SelfReference,
        Defect::TwoCycle,
    ];

    /// What it is, in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Defect::AmbiguousParent => "a job with two parents under different roots",
            Defect::DanglingParent => "a parent that was never logged",
            Defect::DeepChain => "a chain of up to 25 hops",
            Defect::LongCycle => "a job below a ring of 3 to 7 jobs",
            Defect::MixedParent => "a job with rows both with and without a parent",
            Defect::NoJobId => "rows with a parent but without a job id",
            Defect::RootFlagMismatch => "is_root_job contradicts the parent",
            Defect::SelfReference => "a job that is its own parent",
            Defect::TwoCycle => "two jobs that are each other's parents",
        }
    }
}

/// An archive that can be asked for its rows.
#[derive(Debug, Clone)]
pub struct Archive {
    seed: u64,
    albums: u64,
    pathologies: Pathologies,
    calendar: Calendar,
}

impl Archive {
    /// An archive of `albums` (at least 1) albums.
    pub fn new(seed: u64, albums: u64, pathologies: Pathologies) -> Self {
        let first_day = NaiveDate::from_ymd_opt(2025, 5, 16).unwrap_or_default();
        let calendar = Calendar::new(first_day, DAYS * 24 - 5, 1.006, &mut Draw::new(seed, CALENDAR_STREAM));
        Archive { seed, albums, pathologies, calendar }
    }

    /// Rows of this album and all later ones are no earlier than this.
    pub fn not_before_us(&self, album: u64) -> i64 {
        self.calendar.at_us(album as f64 / self.albums as f64)
    }

    /// The defect of an album's chain, if it has one.
    pub fn defect(&self, album: u64) -> Option<Defect> {
        let bits = self.mix(Kind::Defect, album);
        let share = match self.pathologies {
            Pathologies::None => return None,
            Pathologies::Some => 100,
            Pathologies::All => 3,
        };
        (bits.is_multiple_of(share) && self.tracked(album)).then(|| Defect::ALL[(bits >> 32) as usize % Defect::ALL.len()])
    }

    /// Appends the rows that album number `album` brings into the log, by time.
    pub fn append_rows(&self, album: u64, rows: &mut Vec<Row>) {
        let mut draw = Draw::new(self.seed, album);
        let time_us = self.calendar.at_us((album as f64 + draw.unit()) / self.albums as f64);
        let first = rows.len();
        let mut chain = Chain { archive: self, rows, draw, time_us, album, user: None };
        if self.tracked(album) {
            chain.tracked(self.defect(album));
        } else {
            chain.untracked();
        }
        chain.later_work();
        rows[first..].sort_by_key(|row| row.created_at_us);
    }

    /// Were jobs logged by then? The first albums are older than job ids, and a few later ones came another way.
    fn tracked(&self, album: u64) -> bool {
        album >= self.albums / 40 && !self.mix(Kind::Untracked, album).is_multiple_of(128)
    }

    fn subject(&self, album: u64) -> Subject {
        let artist = self.artist_of(album);
        let bits = self.mix(Kind::Album, album) & 0xFFFF | self.mix(Kind::Artist, artist) & !0xFFFF;
        Subject {
            artist: Some(self.id(Kind::Artist, artist)),
            album: Some(self.id(Kind::Album, album)),
            track: None,
            bits,
        }
    }

    /// The album whose artist this album shares: itself where the artist is new.
    fn artist_of(&self, album: u64) -> u64 {
        let mut album = album;
        loop {
            let bits = self.mix(Kind::ArtistChoice, album);
            if album == 0 || bits % 100 < 45 {
                return album;
            }
            album = (bits >> 8) % album;
        }
    }

    fn id(&self, kind: Kind, number: u64) -> Uuid {
        let high = self.mix(kind, number);
        let bits = (u128::from(high) << 64) | u128::from(scramble(high ^ number));
        uuid::Builder::from_u128(bits)
            .with_version(uuid::Version::Random)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    }

    fn mix(&self, kind: Kind, number: u64) -> u64 {
        scramble(scramble(self.seed ^ ((kind as u64) << 56)).wrapping_add(number))
    }
}

/// What a number computed from the seed is for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Album,
    Artist,
    ArtistChoice,
    Defect,
    Untracked,
}

/// The finalizer of SplitMix64.
fn scramble(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A job, as far as its rows need to know.
#[derive(Debug, Clone, Default)]
struct Job {
    id: Option<String>,
    parent: Option<String>,
    flagged: bool,
}

impl Job {
    fn below(id: String, parent: &Job) -> Job {
        Job { id: Some(id), parent: parent.id.clone(), flagged: false }
    }

    fn root(id: String) -> Job {
        Job { id: Some(id), parent: None, flagged: true }
    }
}

/// One album's rows in the making.
struct Chain<'a> {
    archive: &'a Archive,
    rows: &'a mut Vec<Row>,
    draw: Draw,
    time_us: i64,
    album: u64,
    user: Option<String>,
}

impl Chain<'_> {
    /// Before jobs were tracked: fewer rows, and none says what caused it.
    fn untracked(&mut self) {
        let subject = self.archive.subject(self.album);
        let create = self.draw.weighted(v::CREATE_ALBUM);
        self.push(create, Status::Success, &subject, &Job::default());
        for _ in 0..self.draw.below(4) {
            self.wait(1_200);
            let work = if self.draw.chance(0.6) { v::ENRICH_ALBUM } else { self.draw.weighted(v::ALBUM_STEPS) };
            let status = self.enriched_status();
            self.push(work, status, &subject, &Job::default());
        }
    }

    /// The whole chain: creation, artist, enrichment, tracks.
    fn tracked(&mut self, defect: Option<Defect>) {
        let subject = self.archive.subject(self.album);
        let mut root = Job::root(format!("album-create-{}", subject.album.unwrap_or_default()));
        let mut enrichment = Job::below(format!("enrich-album-{}", subject.album.unwrap_or_default()), &root);
        match defect {
            Some(Defect::TwoCycle) => {
                root.parent.clone_from(&enrichment.id);
                root.flagged = false;
            }
            Some(Defect::SelfReference) => enrichment.parent.clone_from(&enrichment.id),
            Some(Defect::DanglingParent) => enrichment.parent = Some(format!("album-create-{}", self.draw.uuid())),
            Some(Defect::RootFlagMismatch) => (root.flagged, enrichment.flagged) = (false, true),
            _ => {}
        }
        self.create(&subject, &root);
        let artist_parent = if self.draw.chance(0.6) { root.clone() } else { enrichment.clone() };
        self.artist(&subject, &artist_parent);
        match defect {
            Some(Defect::DeepChain) => {
                let between = 6 + self.draw.below(17);
                enrichment.parent = Some(self.retries(&subject, root.id.clone(), between));
            }
            Some(Defect::LongCycle) => {
                let ring = 3 + self.draw.below(5);
                enrichment.parent = Some(self.retries(&subject, None, ring));
            }
            _ => {}
        }
        let enriched = self.enrich(&subject, &enrichment, defect);
        if enriched {
            self.tracks(&subject, &enrichment, defect);
        }
    }

    fn create(&mut self, subject: &Subject, root: &Job) {
        let work = self.draw.weighted(v::CREATE_ALBUM);
        let by_user = matches!(work.operation, "album:created:recommendation" | "album:created:collection");
        // A tenth as many users as albums.
        self.user = by_user.then(|| v::user_id(self.draw.below(10 + self.archive.albums / 10)));
        self.push(work, Status::Success, subject, root);
        if self.draw.chance(0.4) {
            self.wait(50);
            let check = self.draw.weighted(v::CHECKS);
            self.push(check, Status::Success, subject, root);
        }
    }

    fn artist(&mut self, subject: &Subject, parent: &Job) {
        self.wait(60);
        let is_new = self.archive.artist_of(self.album) == self.album;
        let (work, job) = if is_new {
            (v::CREATE_ARTIST, format!("artist-create-{}", subject.artist.unwrap_or_default()))
        } else {
            (v::LINK_ARTIST, format!("artist-link-{}", subject.album.unwrap_or_default()))
        };
        let job = Job::below(job, parent);
        self.push(work, Status::Success, subject, &job);
        if is_new && self.draw.chance(0.5) {
            self.wait(2_000);
            let status = self.enriched_status();
            self.push(v::ENRICH_ARTIST, status, subject, &job);
        }
    }

    /// Attempts one below the other, the first below `top`, or below the last where there is no top: a ring. Returns the last one's id.
    fn retries(&mut self, subject: &Subject, top: Option<String>, number: u64) -> String {
        let album = subject.album.unwrap_or_default();
        let id = |attempt: u64| format!("enrich-retry-{attempt}-{album}");
        for attempt in 1..=number {
            self.wait(900);
            let parent = match (&top, attempt) {
                (Some(top), 1) => top.clone(),
                (None, 1) => id(number),
                _ => id(attempt - 1),
            };
            let job = Job { id: Some(id(attempt)), parent: Some(parent), flagged: false };
            self.push(v::ENRICH_ALBUM, Status::Failed, subject, &job);
        }
        id(number)
    }

    /// True where the album's data was found.
    fn enrich(&mut self, subject: &Subject, job: &Job, defect: Option<Defect>) -> bool {
        self.wait(1_500);
        if self.draw.chance(0.5) {
            self.push(v::ENRICH_ALBUM, Status::InProgress, subject, job);
        }
        for _ in 0..self.draw.weighted(&[(0, 4), (1, 4), (2, 2)]) {
            self.wait(600);
            let (work, status) = (self.draw.weighted(v::ALBUM_STEPS), self.enriched_status());
            self.push(work, status, subject, job);
        }
        match defect {
            Some(Defect::AmbiguousParent) => {
                let other = Job::root(format!("album-merge-{}", self.draw.uuid()));
                self.push(v::CREATE_ALBUM[0].0, Status::Success, subject, &other);
                self.push(v::ENRICH_ALBUM, Status::InProgress, subject, &Job { parent: other.id, ..job.clone() });
            }
            Some(Defect::MixedParent) => {
                self.push(v::ENRICH_ALBUM, Status::InProgress, subject, &Job { parent: None, ..job.clone() });
            }
            _ => {}
        }
        self.wait(2_400);
        let status = if defect.is_some() { Status::Completed } else { self.enriched_status() };
        self.push(v::ENRICH_ALBUM, status, subject, job);
        matches!(status, Status::Success | Status::Completed | Status::PartialSuccess)
    }

    fn tracks(&mut self, subject: &Subject, enrichment: &Job, defect: Option<Defect>) {
        let tracks =
            self.draw.weighted(&[(1, 16), (2, 18), (3, 17), (4, 14), (5, 10), (6, 8), (8, 6), (10, 5), (12, 3)]);
        for number in 0..tracks {
            self.wait(40);
            let track = self.draw.uuid();
            let subject = Subject { track: Some(track), ..*subject };
            let mut job = Job::below(format!("track-create-{track}"), enrichment);
            if defect == Some(Defect::NoJobId) {
                job.id = None;
            }
            self.push(v::CREATE_TRACK, Status::Success, &subject, &job);
            if job.id.is_some() && self.draw.chance(0.12) {
                let guest = self.draw.below(self.album + 1);
                let artist = self.archive.id(Kind::Artist, self.archive.artist_of(guest));
                let id = format!("artist-track-{}-{number}", self.time_us / 1_000);
                let guest = Subject { artist: Some(artist), ..subject };
                self.wait(15);
                self.push(v::LINK_TRACK_ARTIST, Status::Success, &guest, &Job::below(id, &job));
            }
        }
    }

    /// A job of its own about an album that is there already: this one or an earlier one.
    fn later_work(&mut self) {
        self.user = None;
        if !self.draw.chance(0.4) {
            return;
        }
        self.wait(30_000);
        let mut subject = self.archive.subject(self.album - self.draw.below(self.album + 1));
        let check = self.draw.weighted(v::CHECKS);
        let work = self.draw.weighted(&[
            (check, 40),
            (v::ENRICH_ARTIST, 28),
            (v::CACHE, 18),
            (v::PREVIEW, 8),
            (v::CORRECTION, 6),
        ]);
        if work.entity == EntityType::Artist {
            subject.album = None;
        }
        let name = work.operation.to_ascii_lowercase().replace([':', '_'], "-");
        let job = Job::root(format!("{name}-{}", self.draw.uuid()));
        let status = if work == v::CORRECTION { Status::Success } else { self.enriched_status() };
        let (admin, reason) = (v::user_id(self.draw.below(3)), v::reason(&mut self.draw));
        let preview = (work == v::PREVIEW).then(|| v::preview(&subject, &mut self.draw));
        let row = self.push(work, status, &subject, &job);
        if work == v::CORRECTION {
            row.user_id = Some(Text::Owned(admin));
            row.reason = Some(reason.into());
            row.triggered_by = Some("admin".into());
        }
        row.preview_data = preview.map(Text::Owned);
        if work == v::ENRICH_ARTIST {
            self.wait(700);
            let (step, status) = (self.draw.weighted(v::ARTIST_STEPS), self.enriched_status());
            self.push(step, status, &subject, &Job { flagged: false, ..job });
        }
    }

    fn push(&mut self, work: Work, status: Status, subject: &Subject, job: &Job) -> &mut Row {
        let mut row = Row::new(self.draw.uuid(), work.operation, status, self.time_us);
        v::describe(&mut row, &work, subject, &mut self.draw);
        row.job_id = job.id.clone().map(Text::Owned);
        row.parent_job_id = job.parent.clone().map(Text::Owned);
        row.is_root_job = job.flagged;
        row.triggered_by = Some(if self.user.is_some() { "user" } else { "system" }.into());
        row.user_id = self.user.clone().map(Text::Owned);
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
            (Status::Skipped, 4),
        ])
    }

    /// Lets some `median_ms` milliseconds pass.
    fn wait(&mut self, median_ms: u32) {
        self.time_us += (f64::from(median_ms) * self.draw.log_normal()) as i64 * 1_000 + 1_000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pathologies: Pathologies) -> Vec<Row> {
        let archive = Archive::new(5, 400, pathologies);
        let mut rows = Vec::new();
        for album in 0..400 {
            let first = rows.len();
            archive.append_rows(album, &mut rows);
            assert!(rows[first..].iter().all(|row| row.created_at_us >= archive.not_before_us(album)));
            assert!(rows[first..].is_sorted_by_key(|row| row.created_at_us));
        }
        rows
    }

    #[test]
    fn ids_fit_their_columns_and_are_unique() {
        let rows = rows(Pathologies::All);
        let ids: std::collections::BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), rows.len());
        for id in rows.iter().flat_map(|row| [&row.job_id, &row.parent_job_id]).flatten() {
            assert!(id.chars().count() <= 100, "{id}");
        }
    }

    #[test]
    fn a_sound_archive_has_one_known_parent_a_job() {
        let rows = rows(Pathologies::None);
        let mut parents = std::collections::BTreeMap::new();
        for row in rows.iter().filter(|row| row.job_id.is_some()) {
            let first = parents.entry(row.job_id.as_deref()).or_insert(row.parent_job_id.as_deref());
            assert_eq!(*first, row.parent_job_id.as_deref(), "{:?} has two parents", row.job_id);
        }
        for row in rows.iter().filter(|row| row.parent_job_id.is_some()) {
            assert!(parents.contains_key(&row.parent_job_id.as_deref()), "{:?} is missing", row.parent_job_id);
            assert!(row.job_id.is_some() && !row.is_root_job);
        }
    }

    #[test]
    fn every_defect_occurs() {
        let archive = Archive::new(5, 400, Pathologies::All);
        let defects: std::collections::BTreeSet<Defect> = (0..400).filter_map(|album| archive.defect(album)).collect();
        assert_eq!(defects.into_iter().collect::<Vec<_>>(), Defect::ALL);
    }
}
