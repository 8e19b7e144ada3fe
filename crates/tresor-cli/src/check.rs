//! `tresor check`: what a stopped store holds on disk, where it is damaged, and what is whole of it.
//!
//! Checking changes nothing. Salvaging writes a new store beside the damaged one, which stays as it is,
//! so that nothing is lost by trying.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use tresor::{
    engine::{
        disk::{self, TablesReport},
        json_file,
    },
    files::{Files, SystemFiles},
    oplog::{self, FileKind, FileReport, Report},
};

use crate::failure::{Failure, Outcome};

/// What to examine.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The store's directory, or its JSON file or SQLite database; its server must not be running
    path: PathBuf,
    /// Take a JSON file or SQLite database that was edited on purpose: give it the checksums that fit
    #[arg(long, conflicts_with = "salvage")]
    accept: bool,
    /// Write what is whole to a new store beside it; the damaged one stays as it is
    #[arg(long)]
    salvage: bool,
    /// The directory of the new store [default: PATH with `.salvaged` added]
    #[arg(long, value_name = "DIRECTORY", requires = "salvage")]
    into: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.path.is_file() {
        return if is_sqlite(&arguments.path)? { sqlite(arguments) } else { json_file(arguments) };
    }
    if arguments.accept {
        return Err(Failure::usage(
            "--accept: this is for a JSON file or an SQLite database, and the path is none",
        ));
    }
    let report = oplog::check(&SystemFiles, &arguments.path)?;
    let mut output = io::stdout().lock();
    show(&report, &mut output)?;
    let tables = disk::check(&SystemFiles, &arguments.path)?;
    if let Some(tables) = &tables {
        show_tables(tables, &mut output)?;
        if arguments.salvage {
            return Err(Failure::usage(
                "--salvage: this is for stores of the memory engine; restore a disk store from a backup",
            ));
        }
    }
    if arguments.salvage {
        let into = arguments.into.clone().unwrap_or_else(|| beside(&arguments.path));
        return salvage(&SystemFiles, &arguments.path, &into, &mut output);
    }
    if report.is_whole() && tables.as_ref().is_none_or(|tables| tables.problems.is_empty()) {
        writeln!(output, "the store is whole")?;
        return Ok(());
    }
    output.flush()?;
    let path = arguments.path.display();
    if tables.is_some() {
        return Err(Failure::failed(format!("{path} is damaged: restore it from a backup")));
    }
    Err(Failure::failed(format!(
        "{path} is damaged; `tresor check {path} --salvage` writes what is whole to a new store"
    )))
}

fn json_file(arguments: &Arguments) -> Outcome {
    if arguments.salvage {
        return Err(Failure::usage("--salvage: a JSON file can be mended with an editor; then --accept it"));
    }
    let entries = json_file::check(Arc::new(SystemFiles), &arguments.path, arguments.accept)?;
    let how = if arguments.accept { "accepted" } else { "whole" };
    writeln!(io::stdout(), "{}: {entries} entries; the file is {how}", arguments.path.display())?;
    Ok(())
}

/// Whether a file begins as every SQLite database does. Read before any connection has it open: SQLite's
/// locks end when a handle of ours is closed.
fn is_sqlite(path: &Path) -> Outcome<bool> {
    let mut beginning = Vec::new();
    File::open(path)?.take(tresor_sqlite::MAGIC.len() as u64).read_to_end(&mut beginning)?;
    Ok(beginning == tresor_sqlite::MAGIC)
}

fn sqlite(arguments: &Arguments) -> Outcome {
    if arguments.salvage {
        return Err(Failure::usage(
            "--salvage: what is left of an SQLite database is saved by the sqlite3 shell: .recover",
        ));
    }
    let report = tresor_sqlite::check(Arc::new(SystemFiles), &arguments.path, arguments.accept)?;
    let (path, mut output) = (arguments.path.display(), io::stdout().lock());
    report.problems.iter().try_for_each(|problem| writeln!(output, "{path}: {problem}"))?;
    if report.problems.is_empty() {
        let how = if arguments.accept { "accepted" } else { "whole" };
        writeln!(output, "{path}: {} entries; the file is {how}", report.entries)?;
        return Ok(());
    }
    output.flush()?;
    Err(Failure::failed(format!(
        "{path} is damaged, or was edited; if that was on purpose: tresor check --accept {path}"
    )))
}

fn beside(path: &Path) -> PathBuf {
    // `components` drops a slash at the end, which would put the new store inside the old one.
    let mut name = path.components().as_path().as_os_str().to_owned();
    name.push(".salvaged");
    name.into()
}

fn show(report: &Report, output: &mut impl Write) -> io::Result<()> {
    for file in &report.files {
        writeln!(output, "{}", described(file))?;
        if let Some(problem) = &file.problem {
            writeln!(output, "  damaged: {problem}")?;
        }
        if file.torn_bytes > 0 {
            writeln!(
                output,
                "  {} bytes at its end were never acknowledged; the next start cuts them",
                file.torn_bytes
            )?;
        }
    }
    report.gaps.iter().try_for_each(|gap| writeln!(output, "missing: {gap}"))
}

fn show_tables(tables: &TablesReport, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "tables: {} entries, those behind the last checkpoint left out", tables.entries)?;
    tables.problems.iter().try_for_each(|problem| writeln!(output, "  damaged: {problem}"))
}

fn described(file: &FileReport) -> String {
    let (first, last) = file.covers;
    let what = match file.kind {
        FileKind::Identity => "the store's identity".to_owned(),
        FileKind::Snapshot => format!("snapshot of {} entries, changes {first} to {last}", file.records),
        FileKind::Segment if file.records == 0 => "log without changes".to_owned(),
        FileKind::Segment => format!("log of {} records, changes {first} to {last}", file.records),
    };
    format!("{}: {what}, {} bytes", file.name, file.bytes)
}

fn salvage(files: &dyn Files, from: &Path, into: &Path, output: &mut impl Write) -> Outcome {
    let salvaged = oplog::salvage(files, from, into)?;
    for problem in &salvaged.problems {
        writeln!(output, "left out: {problem}")?;
    }
    writeln!(
        output,
        "kept {} entries as {} whole records of the log leave them, up to change {}; {} changes are missing",
        salvaged.entries, salvaged.records, salvaged.latest, salvaged.missing_changes
    )?;
    writeln!(output, "start the new store with: tresor serve --store-path {}", into.display())?;
    Ok(())
}
