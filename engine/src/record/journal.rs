//! The journal: what a run stores while it goes, so that a killed run loses at most its last second.
//! In: header, intervals, evidence. Out: `run.json`, `intervals.jsonl`, `histograms.hlog`, `leaks.jsonl`,
//! `failures.jsonl`; and back from them to a run result.

use super::fold::Fold;
use super::interval::Interval;
use super::lines::Lines;
use crate::clock::SECOND;
use crate::run_result::{Ending, FailureRecord, LeakKey, LeakRecord, RunHeader, RunResult};
use scenarios::objective::Objective;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

/// A line of `intervals.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Interval(Box<Interval>),
    End(Ending),
}

/// The open files of a run.
#[derive(Debug, Default)]
pub struct Journal {
    files: Option<Files>,
    errors: u64,
    first_error: Option<String>,
}

#[derive(Debug)]
struct Files {
    intervals: Lines,
    hlog: Lines,
    leaks: Lines,
    failures: Lines,
    tags: Vec<String>,
}

impl Journal {
    /// A journal that stores nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Opens the files of `folder` (which exists) and writes the header.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(folder: &Path, header: &RunHeader) -> io::Result<Self> {
        fs::write(folder.join("run.json"), serde_json::to_vec_pretty(header)?)?;
        let mut head = Vec::new();
        write_hlog_head(&mut head, header)?;
        let mut hlog = Lines::create(&folder.join("histograms.hlog"))?;
        hlog.write(&head)?;
        let files = Files {
            intervals: Lines::create(&folder.join("intervals.jsonl"))?,
            hlog,
            leaks: Lines::create(&folder.join("leaks.jsonl"))?,
            failures: Lines::create(&folder.join("failures.jsonl"))?,
            tags: header.steps.iter().map(|s| tag(&header.journeys[s.journey], &s.name)).collect(),
        };
        Ok(Self { files: Some(files), errors: 0, first_error: None })
    }

    /// Writes that could not be done (disk full), and the first reason.
    pub fn errors(&self) -> (u64, Option<&str>) {
        (self.errors, self.first_error.as_deref())
    }

    /// Stores a second.
    pub fn interval(&mut self, interval: &Interval) {
        self.attempt(|files| {
            // The figures come first: without them the log is of little use.
            write_line(&mut files.intervals, &BorrowedLine::Interval(interval))?;
            let mut log = Vec::new();
            for (index, step) in &interval.steps {
                let (Some(tag), Some(times)) = (files.tags.get(*index), step.response.times()) else {
                    continue;
                };
                let max_ms = times.max_ns as f64 / 1e6;
                writeln!(log, "Tag={tag},{}.000,1.000,{max_ms:.3},{}", interval.second, step.response.encoded())?;
            }
            files.hlog.write(&log)
        });
    }

    /// Stores the evidence of a leak, at once.
    pub fn leak(&mut self, record: &LeakRecord) {
        self.attempt(|files| write_line(&mut files.leaks, record));
    }

    /// Stores a sample of a failure, at once.
    pub fn failure(&mut self, record: &FailureRecord) {
        self.attempt(|files| write_line(&mut files.failures, record));
    }

    /// Stores how the run ended.
    pub fn end(&mut self, ending: &Ending) {
        self.attempt(|files| write_line(&mut files.intervals, &Line::End(ending.clone())));
    }

    fn attempt(&mut self, write: impl FnOnce(&mut Files) -> io::Result<()>) {
        let Some(files) = &mut self.files else { return };
        if let Err(error) = write(files) {
            self.errors += 1;
            self.first_error.get_or_insert_with(|| error.to_string());
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum BorrowedLine<'a> {
    Interval(&'a Interval),
}

/// Writes the header of a stored run anew: what its caller learnt only after the run (the answer of a search) goes with
/// it. The file appears whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn rewrite_header(folder: &Path, header: &RunHeader) -> io::Result<()> {
    let half = folder.join(".run.json.part");
    fs::write(&half, serde_json::to_vec_pretty(header)?)?;
    fs::rename(half, folder.join("run.json"))
}

/// One write per line, so that a line is on disk whole or not at all.
fn write_line(file: &mut Lines, record: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    file.write(&line)
}

/// The head that the HdrHistogram tools expect (log format 1.3).
fn write_hlog_head(out: &mut impl Write, header: &RunHeader) -> io::Result<()> {
    let start_s = header.started_unix_ns as f64 / SECOND as f64;
    writeln!(out, "#[Watertight {}: response times in microseconds, one tag a step]", header.version)?;
    writeln!(out, "#[Histogram log format version 1.3]")?;
    writeln!(out, "#[StartTime: {start_s:.3} (seconds since epoch)]")?;
    writeln!(out, "#[BaseTime: {start_s:.3} (seconds since epoch)]")?;
    writeln!(out, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"")
}

/// A tag may hold neither comma nor white space.
fn tag(journey: &str, step: &str) -> String {
    format!("{journey}/{step}").chars().map(|c| if c == ',' || c.is_whitespace() { '_' } else { c }).collect()
}

/// Why a stored run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file is missing or cannot be opened.
    #[error("{file} cannot be read: {source}; a results folder holds run.json and intervals.jsonl")]
    Io {
        /// Which file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The header is no header of ours.
    #[error("{file} is not a run of this program: {reason}")]
    Header {
        /// Which file.
        file: String,
        /// Why.
        reason: String,
    },
}

/// Reads a stored run back. Without an end record the run was killed.
///
/// # Errors
/// The folder holds no run.
pub fn read(folder: &Path) -> Result<RunResult, ReadError> {
    let header = read_header(folder)?;
    read_measured(folder, header)
}

/// Reads a stored run back to judge it by other objectives than its own: what they need of each window is counted for
/// them. The header keeps these objectives.
///
/// # Errors
/// The folder holds no run, or `objectives` answers an error.
pub fn read_for<E: From<ReadError>>(
    folder: &Path,
    objectives: impl FnOnce(&RunHeader) -> Result<Vec<Objective>, E>,
) -> Result<RunResult, E> {
    let mut header = read_header(folder)?;
    header.objectives = objectives(&header)?;
    Ok(read_measured(folder, header)?)
}

fn read_header(folder: &Path) -> Result<RunHeader, ReadError> {
    let path = folder.join("run.json");
    let name = path.display().to_string();
    let text = fs::read(&path).map_err(|source| ReadError::Io { file: name.clone(), source })?;
    let header: RunHeader =
        serde_json::from_slice(&text).map_err(|e| ReadError::Header { file: name.clone(), reason: e.to_string() })?;
    check_header(&header).map_err(|reason| ReadError::Header { file: name, reason })?;
    Ok(header)
}

fn read_measured(folder: &Path, header: RunHeader) -> Result<RunResult, ReadError> {
    let path = folder.join("intervals.jsonl");
    let file = File::open(&path).map_err(|source| ReadError::Io { file: path.display().to_string(), source })?;
    let mut ending = Ending::Killed;
    let mut fold = Fold::new(header.clone());
    // No run goes on for a day after its planned end; a second beyond that is a broken line.
    let most_seconds = (header.planned_ns + header.graceful_stop_ns) / SECOND + 86_400;
    let mut unreadable = 0u64;
    for line in BufReader::new(file).split(b'\n') {
        let Ok(line) = line else { break };
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Interval(interval)) if interval.second <= most_seconds => fold.add(&interval),
            Ok(Line::End(how)) => ending = how,
            Ok(Line::Interval(_)) | Err(_) => unreadable += 1,
        }
    }
    for (key, record) in leaks(folder, &header) {
        fold.leak(&key, record);
    }
    let mut result = fold.finish(ending);
    if unreadable > 0 {
        result
            .header
            .notes
            .push(format!("{unreadable} lines of intervals.jsonl could not be read and are not in the figures"));
    }
    Ok(result)
}

/// Indexes in a header that was edited by hand must not lead anywhere.
fn check_header(header: &RunHeader) -> Result<(), String> {
    let longest = 400 * 86_400 * SECOND;
    if header.planned_ns > longest || header.graceful_stop_ns > longest || header.warm_up_ns > header.planned_ns {
        return Err("its times make no sense".into());
    }
    if header.format != 1 {
        return Err(format!("format {} is not known here (this version reads format 1)", header.format));
    }
    let steps_fit = header.steps.iter().all(|s| s.journey < header.journeys.len() && s.target < header.targets.len());
    let objectives_fit = header.objectives.iter().all(|o| o.of.step_ids.iter().all(|id| *id < header.steps.len()));
    if !steps_fit || !objectives_fit || header.workers > 4096 {
        return Err("its indexes do not fit together".into());
    }
    Ok(())
}

/// Evidence names the header, its group only that it was one.
fn kind_of_place(place: &str) -> &str {
    if place.starts_with("header ") { "header" } else { place }
}

fn leaks(folder: &Path, header: &RunHeader) -> Vec<(LeakKey, LeakRecord)> {
    let Ok(file) = File::open(folder.join("leaks.jsonl")) else {
        return Vec::new();
    };
    BufReader::new(file)
        .split(b'\n')
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_slice::<LeakRecord>(&line).ok())
        .map(|record| {
            let step = header
                .steps
                .iter()
                .position(|s| s.name == record.reader.step && header.journeys[s.journey] == record.reader.journey)
                .unwrap_or(0);
            let key = LeakKey {
                detector: record.detector.clone(),
                tier: record.tier,
                step,
                place: kind_of_place(&record.place).into(),
            };
            (key, record)
        })
        .collect()
}
