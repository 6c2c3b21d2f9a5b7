//! A recipient list.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use divan::Bencher;
use divan::counter::ItemsCount;
use reattach::campaign::RecipientReader;
use tempfile::TempDir;

use crate::folder;

const PEOPLE: u64 = 10_000;

fn list(folder: &TempDir) -> PathBuf {
    let mut list = "recipient,first_name\n".to_owned();
    for number in 0..PEOPLE {
        writeln!(list, "{},Ana", 1_254_459_154_000_000 + number).expect("a line");
    }
    let path = folder.path().join("people.csv");
    fs::write(&path, list).expect("written");
    path
}

#[divan::bench]
fn ten_thousand_people(bencher: Bencher) {
    let folder = folder();
    let path = list(&folder);
    bencher.counter(ItemsCount::new(PEOPLE)).bench_local(|| {
        let mut reader = RecipientReader::open(&path, &["first_name".to_owned()]).expect("a list");
        let mut people = 0;
        while let Some(row) = reader.next_row().expect("a row") {
            people += u64::from(row.is_ok());
        }
        assert_eq!(people, PEOPLE);
    });
}

#[divan::bench]
fn ten_thousand_people_beside_the_csv_crate(bencher: Bencher) {
    let folder = folder();
    let path = list(&folder);
    bencher.counter(ItemsCount::new(PEOPLE)).bench_local(|| {
        let rows = csv::Reader::from_path(&path).expect("a list").into_records();
        assert_eq!(rows.flatten().count() as u64, PEOPLE);
    });
}
