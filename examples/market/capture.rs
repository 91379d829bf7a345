//! Captures: the files of one instrument, read line by line as one stream.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::message;

/// Everything recorded of one instrument.
#[derive(Debug)]
pub(crate) struct Capture {
    /// The file name without its date, such as `usdm_btcusdt`.
    pub(crate) instrument: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    File(PathBuf),
    Memory { name: String, text: Vec<u8> },
}

impl Capture {
    /// Sorts files into captures: paths that differ only in the date at their end are one stream,
    /// in date order.
    ///
    /// # Errors
    ///
    /// Says which file cannot be opened, or which two cannot be told apart.
    pub(crate) fn group(files: &[PathBuf]) -> Result<Vec<Self>, String> {
        let mut streams: BTreeMap<(String, PathBuf), BTreeMap<String, &Path>> = BTreeMap::new();
        for path in files {
            let directory =
                check(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let (name, date) = split_name(path);
            let dates = streams.entry((name, directory)).or_default();
            if let Some(other) = dates.insert(date, path) {
                let (other, path) = (other.display(), path.display());
                return Err(format!(
                    "{other} and {path} are the same part of one stream"
                ));
            }
        }
        let mut captures: BTreeMap<String, Self> = BTreeMap::new();
        for ((name, directory), dates) in &streams {
            let same_name = streams.keys().filter(|(other, _)| other == name).count();
            let instrument = match directory.file_name() {
                // `spot/btcusdt.gz` and `usdm/btcusdt.gz`.
                Some(market) if same_name > 1 => {
                    format!("{}_{name}", market.to_string_lossy().to_lowercase())
                }
                _ => name.clone(),
            };
            let parts = dates.values().map(|&path| Part::File(path.to_owned()));
            let capture = Self {
                instrument: instrument.clone(),
                parts: parts.collect(),
            };
            if captures.insert(instrument.clone(), capture).is_some() {
                return Err(format!("two captures are called {instrument}"));
            }
        }
        Ok(captures.into_values().collect())
    }

    /// A capture that was made up instead of recorded.
    pub(crate) fn in_memory(instrument: &str, text: Vec<u8>) -> Self {
        let name = format!("generated {instrument}");
        Self {
            instrument: instrument.to_owned(),
            parts: vec![Part::Memory { name, text }],
        }
    }

    /// When the first message was received.
    pub(crate) fn first_received(&self) -> Option<i64> {
        let mut lines = Lines::new(self.parts.clone());
        while let Some(step) = lines.advance() {
            if step.is_ok()
                && let Some(received) = message::received(lines.text())
            {
                return Some(received);
            }
        }
        None
    }

    pub(crate) fn into_lines(self) -> Lines {
        Lines::new(self.parts)
    }
}

/// The lines of a capture, across its files.
pub(crate) struct Lines {
    parts: VecDeque<Part>,
    reader: Option<Box<dyn BufRead + Send>>,
    name: String,
    number: u64,
    text: Vec<u8>,
}

impl Lines {
    fn new(parts: Vec<Part>) -> Self {
        Self {
            parts: parts.into(),
            reader: None,
            name: String::new(),
            number: 0,
            text: Vec::new(),
        }
    }

    /// Goes to the next line that is not blank; `None` at the end.
    ///
    /// # Errors
    ///
    /// The rest of the current file cannot be read, for example because a gzip file was cut short.
    /// The next call goes on with the next file.
    pub(crate) fn advance(&mut self) -> Option<io::Result<()>> {
        loop {
            let Some(reader) = &mut self.reader else {
                match self.parts.pop_front()?.open() {
                    Ok((name, reader)) => {
                        (self.name, self.reader, self.number) = (name, Some(reader), 0);
                        continue;
                    }
                    Err((name, error)) => {
                        (self.name, self.number) = (name, 0);
                        return Some(Err(error));
                    }
                }
            };
            self.text.clear();
            self.number += 1;
            match reader.read_until(b'\n', &mut self.text) {
                Ok(0) => self.reader = None,
                Ok(_) if self.text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok(())),
                Err(error) => {
                    // What was read of a line that has no end is not a line.
                    self.reader = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// The current line.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where the current line, or the latest error, is: file and line number.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.name, self.number)
    }
}

impl Part {
    fn open(self) -> Result<(String, Box<dyn BufRead + Send>), (String, io::Error)> {
        match self {
            Self::Memory { name, text } => Ok((name, Box::new(Cursor::new(text)))),
            Self::File(path) => {
                let name = path.display().to_string();
                match open(&path) {
                    Ok(reader) => Ok((name, reader)),
                    Err(error) => Err((name, error)),
                }
            }
        }
    }
}

/// Opens a file, unpacking it if its first bytes say gzip: names lie more often.
fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        let unpacked = MultiGzDecoder::new(file);
        return Ok(Box::new(BufReader::with_capacity(1 << 16, unpacked)));
    }
    Ok(Box::new(file))
}

/// Makes sure that a file can be opened, and tells its directory, however it was spelled.
fn check(path: &Path) -> io::Result<PathBuf> {
    if File::open(path)?.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.canonicalize(),
        _ => std::env::current_dir(),
    }
}

/// Splits the name of a file into instrument and date: `spot_btcusdt_20240808.gz` is `spot_btcusdt`
/// on `20240808`.
fn split_name(path: &Path) -> (String, String) {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy().to_lowercase();
    let mut stem = name.as_str();
    for extension in [
        ".gz", ".gzip", ".txt", ".log", ".json", ".jsonl", ".ndjson", ".dat", ".csv",
    ] {
        stem = stem.strip_suffix(extension).unwrap_or(stem);
    }
    // `20240808` or `2024-08-08`.
    for length in [8, 10] {
        let Some((instrument, date)) = stem
            .len()
            .checked_sub(length)
            .and_then(|at| stem.split_at_checked(at))
        else {
            continue;
        };
        let digits: String = date.split(['-', '_']).collect();
        let instrument = instrument.trim_end_matches(['_', '-', '.', ' ']);
        if digits.len() == 8
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !instrument.is_empty()
        {
            return (instrument.to_owned(), digits);
        }
    }
    (stem.to_owned(), String::new())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn named(name: &str) -> (String, String) {
        split_name(Path::new(name))
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// A directory that disappears with the test, whatever its outcome.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("market-{}-{test}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn read_all(capture: Capture) -> (Vec<String>, Vec<String>) {
        let mut lines = capture.into_lines();
        let (mut texts, mut errors) = (Vec::new(), Vec::new());
        while let Some(step) = lines.advance() {
            match step {
                Ok(()) => {
                    texts.push(String::from_utf8_lossy(lines.text()).trim_end().to_owned());
                }
                Err(_) => errors.push(lines.place()),
            }
        }
        (texts, errors)
    }

    #[test]
    fn the_date_is_not_part_of_the_instrument() {
        let pair = |instrument: &str, date: &str| (instrument.to_owned(), date.to_owned());
        assert_eq!(
            named("/a/spot_btcusdt_20240808.gz"),
            pair("spot_btcusdt", "20240808")
        );
        assert_eq!(
            named("SPOT_BTCUSDT_20240809"),
            pair("spot_btcusdt", "20240809")
        );
        assert_eq!(
            named("cm_btcusd_perp-2024-08-08.json.gz"),
            pair("cm_btcusd_perp", "20240808")
        );
        assert_eq!(
            named("cm_btcusd_240927_20240808.gz"),
            pair("cm_btcusd_240927", "20240808")
        );
        assert_eq!(named("usdm_x-1-20240808"), pair("usdm_x-1", "20240808"));
        assert_eq!(named("btcusdt.txt"), pair("btcusdt", ""));
        assert_eq!(named("20240808.gz"), pair("20240808", ""));
    }

    #[test]
    fn files_of_one_instrument_are_read_in_date_order() {
        let scratch = Scratch::new("dates");
        let files = [
            scratch.file("usdm_x_20240810.gz", &gzip("5\n")),
            scratch.file("spot_x_20240808", b"9"),
            scratch.file("usdm_x_20240808.gz", &gzip("1\r\n\r\n2\n")),
            scratch.file("usdm_x_20240809.txt", b"3\n4"),
        ];
        let mut captures = Capture::group(&files).unwrap();
        let usdm = captures.pop().unwrap();
        let spot = captures.pop().unwrap();
        assert_eq!((captures.len(), usdm.instrument.as_str()), (0, "usdm_x"));
        assert_eq!(read_all(spot).0, ["9"]);
        assert_eq!(read_all(usdm).0, ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn directories_tell_files_of_one_name_apart() {
        let scratch = Scratch::new("directories");
        let files = [
            scratch.file("usdm/btcusdt_20240808.gz", b""),
            scratch.file("spot/btcusdt_20240808.gz", b""),
            scratch.file("spot/../usdm/btcusdt_20240809.gz", b""),
        ];
        let captures = Capture::group(&files).unwrap();
        let names: Vec<_> = captures
            .iter()
            .map(|capture| (capture.instrument.as_str(), capture.parts.len()))
            .collect();
        assert_eq!(names, [("spot_btcusdt", 1), ("usdm_btcusdt", 2)]);
    }

    #[test]
    fn a_gzip_file_of_several_members_is_read_to_its_end() {
        let scratch = Scratch::new("members");
        let bytes = [gzip("1\n2\n"), gzip("3\n")].concat();
        let file = scratch.file("x.gz", &bytes);
        let capture = Capture::group(&[file]).unwrap().pop().unwrap();
        assert_eq!(
            read_all(capture),
            (vec!["1".into(), "2".into(), "3".into()], vec![])
        );
    }

    #[test]
    fn a_truncated_gzip_file_gives_its_whole_lines_and_one_error() {
        let scratch = Scratch::new("truncated");
        let text: String = (0..20_000)
            .map(|n: u64| format!("{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let packed = gzip(&text);
        let first = scratch.file("x_20240808.gz", &packed[..packed.len() / 2]);
        let second = scratch.file("x_20240809.gz", &gzip("next\n"));
        let capture = Capture::group(&[first.clone(), second])
            .unwrap()
            .pop()
            .unwrap();
        let (mut lines, errors) = read_all(capture);
        assert_eq!(lines.pop().unwrap(), "next");
        assert!(
            lines.len() > 1_000,
            "only {} lines came before the cut",
            lines.len()
        );
        assert!(
            lines.iter().eq(text.lines().take(lines.len())),
            "a line was changed"
        );
        assert_eq!(errors, [format!("{}:{}", first.display(), lines.len() + 1)]);
    }

    #[test]
    fn a_missing_file_and_a_directory_are_named() {
        let scratch = Scratch::new("missing");
        let missing = scratch.0.join("nowhere.gz");
        let error = Capture::group(&[missing]).unwrap_err();
        assert!(error.contains("nowhere.gz"), "{error}");
        assert!(Capture::group(std::slice::from_ref(&scratch.0)).is_err());
    }

    #[test]
    fn the_same_part_twice_is_refused() {
        let scratch = Scratch::new("twice");
        let plain = scratch.file("x_20240808", b"");
        let packed = scratch.file("x_20240808.gz", b"");
        assert!(Capture::group(&[plain, packed]).is_err());
    }
}
