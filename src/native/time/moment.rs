//! Dates and times as numbers: microseconds since 1970, months, days.
//!
//! Input: what the engine writes for its DATE, TIME, TIMESTAMP and INTERVAL. Output: numbers, and texts that the engine or the server
//! would write for them. Invariant: years are astronomical, so that 0 is 1 BC.

use crate::native::Failure;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A point in time, without a zone or in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Before,
    /// Microseconds since 1970.
    At(i64),
    After,
}

/// Year, month, day and the microseconds of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub micros: i64,
}

/// Days since 1970 of a date.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of days since 1970.
pub(super) fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let place = (5 * of_year + 2) / 153;
    let day = of_year - (153 * place + 2) / 5 + 1;
    let month = if place < 10 { place + 3 } else { place - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

impl Fields {
    pub fn of(micros: i64) -> Fields {
        let (year, month, day) = date_of(micros.div_euclid(DAY));
        Fields { year, month, day, micros: micros.rem_euclid(DAY) }
    }

    pub fn days(&self) -> i64 {
        days_of(self.year, self.month, self.day)
    }

    pub fn to_micros(self) -> i64 {
        self.days() * DAY + self.micros
    }

    /// 1 BC is the year 0.
    pub fn shown_year(&self) -> i64 {
        if self.year > 0 { self.year } else { 1 - self.year }
    }
}

fn unreadable(text: &str) -> Failure {
    Failure::refused(format!("the time {text}"))
}

impl Moment {
    /// Reads what the engine writes.
    pub fn read(text: &str) -> Result<Moment, Failure> {
        match text {
            "infinity" => return Ok(Moment::After),
            "-infinity" => return Ok(Moment::Before),
            _ => {}
        }
        let bc = text.contains("(BC)");
        let plain = text.replace(" (BC)", "");
        let (date, time) = plain.split_once(' ').unwrap_or((&plain, ""));
        let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (Some(Some(year)), Some(Some(month)), Some(Some(day))) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unreadable(text));
        };
        let year = if bc { 1 - year } else { year };
        let micros = if time.is_empty() { 0 } else { clock(time).ok_or_else(|| unreadable(text))? };
        Ok(Moment::At(days_of(year, month, day) * DAY + micros))
    }

    /// As the engine reads it.
    pub fn for_engine(self) -> String {
        match self {
            Moment::Before => "-infinity".to_owned(),
            Moment::After => "infinity".to_owned(),
            Moment::At(micros) => {
                let fields = Fields::of(micros);
                let bc = if fields.year <= 0 { " (BC)" } else { "" };
                format!(
                    "{:04}-{:02}-{:02}{bc} {}",
                    fields.shown_year(),
                    fields.month,
                    fields.day,
                    clock_text(fields.micros)
                )
            }
        }
    }

    /// As the server writes a timestamp; `zone` is what follows the time of day.
    pub fn shown(self, zone: &str) -> String {
        match self {
            Moment::Before => "-infinity".to_owned(),
            Moment::After => "infinity".to_owned(),
            Moment::At(micros) => {
                let fields = Fields::of(micros);
                let bc = if fields.year <= 0 { " BC" } else { "" };
                format!("{} {}{zone}{bc}", date_text(&fields), clock_text(fields.micros))
            }
        }
    }

    /// As the server writes a date.
    pub fn shown_date(self) -> String {
        match self {
            Moment::At(micros) => {
                let fields = Fields::of(micros);
                format!("{}{}", date_text(&fields), if fields.year <= 0 { " BC" } else { "" })
            }
            other => other.shown(""),
        }
    }
}

/// As the server writes the date of days since 1970, also one that microseconds can't count.
pub(super) fn shown_day(days: i64) -> String {
    let (year, month, day) = date_of(days);
    let fields = Fields { year, month, day, micros: 0 };
    format!("{}{}", date_text(&fields), if year <= 0 { " BC" } else { "" })
}

fn date_text(fields: &Fields) -> String {
    format!("{:04}-{:02}-{:02}", fields.shown_year(), fields.month, fields.day)
}

/// `10:00:00.5`
pub(super) fn clock(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let digits: String = format!("{fraction}000000").chars().take(6).collect();
    let micros = hours * HOUR + minutes * MINUTE + seconds * SECOND + digits.parse::<i64>().ok()?;
    Some(if negative { -micros } else { micros })
}

/// `10:00:00.5`, without zeros at the end of the fraction.
pub(crate) fn clock_text(micros: i64) -> String {
    let (seconds, rest) = (micros / SECOND, micros % SECOND);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest != 0 {
        let fraction = format!("{rest:06}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

/// An interval: three numbers, none folded into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    pub months: i64,
    pub days: i64,
    pub micros: i64,
}

impl Interval {
    /// Reads what the engine writes: `1 year 2 months -3 days 04:05:06`.
    pub fn read(text: &str) -> Result<Interval, Failure> {
        let mut found = Interval::default();
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            if word.contains(':') {
                found.micros += clock(word).ok_or_else(|| unreadable(text))?;
                continue;
            }
            let number: i64 = word.parse().map_err(|_| unreadable(text))?;
            match words.next().unwrap_or_default().trim_end_matches('s') {
                "year" => found.months += 12 * number,
                "month" => found.months += number,
                "day" => found.days += number,
                "microsecond" => found.micros += number,
                _ => return Err(unreadable(text)),
            }
        }
        Ok(found)
    }

    /// As the engine reads it.
    pub fn for_engine(&self) -> Result<String, Failure> {
        let fits = |number: i64| i32::try_from(number).is_ok();
        if !fits(self.months) || !fits(self.days) {
            return Err(Failure::raised("22008", "interval out of range"));
        }
        Ok(format!("{} months {} days {} microseconds", self.months, self.days, self.micros))
    }

    /// As the server writes it.
    pub fn shown(&self) -> String {
        let mut parts = Vec::new();
        let mut negative_before = false;
        for (number, name) in [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")] {
            if number != 0 {
                // Behind a negative part, a positive one says so.
                let sign = if negative_before && number > 0 { "+" } else { "" };
                parts.push(format!("{sign}{number} {name}{}", if number == 1 { "" } else { "s" }));
                negative_before = number < 0;
            }
        }
        if self.micros != 0 || parts.is_empty() {
            let sign = match self.micros {
                ..0 => "-",
                _ if negative_before => "+",
                _ => "",
            };
            parts.push(format!("{sign}{}", clock_text(self.micros.abs())));
        }
        parts.join(" ")
    }

    /// Months count as 30 days, days as 24 hours.
    pub fn span(&self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY) + i128::from(self.micros)
    }

    pub fn negated(&self) -> Interval {
        Interval { months: -self.months, days: -self.days, micros: -self.micros }
    }
}
