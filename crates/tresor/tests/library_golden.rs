//! The golden scripts of keys and values, through the library's typed calls.

use std::{cell::Cell, sync::Arc};

use tresor::{Config, Database, Error};
use tresor_testkit::{
    LaterEngine, ModelEngine, TemporaryDirectory,
    kv_script::{run_all, through_library},
};

fn through(name: &str, open: impl Fn() -> Result<Database, Error>) {
    run_all(name, |run| {
        let store = open().expect("a store that opens");
        run(&mut |request| through_library(&store, request));
    });
}

#[test]
fn the_library_answers_as_the_scripts_say() {
    through("the library", || Database::open(Config::memory()));
}

#[test]
fn the_library_answers_as_the_scripts_say_over_json_files() {
    let directory = TemporaryDirectory::new("library_golden");
    let number = Cell::new(0);
    through("the library over JSON files", || {
        number.set(number.get() + 1);
        Database::open(Config::json_file(directory.join(&format!("{}.json", number.get()))))
    });
}

#[test]
fn the_library_answers_as_the_scripts_say_on_disk() {
    let directory = TemporaryDirectory::new("library_golden");
    let number = Cell::new(0);
    through("the library on disk", || {
        number.set(number.get() + 1);
        Database::open(Config::disk(directory.join(&number.get().to_string())))
    });
}

#[test]
fn the_library_answers_as_the_scripts_say_over_an_engine_that_answers_later() {
    let later = || Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())));
    through("the library over a later engine", || Database::over(later(), Config::memory()));
}
