//! `convert --to parquet`, with the feature and without.

use crate::testenv::{TestEnv, testdata};

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_how_to_get_it() {
    let env = TestEnv::new();
    let home = testdata("homes/r169");
    let run = env.run(&["convert", home.to_str().unwrap(), "--to", "parquet", "-o", "out"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("built without Parquet"), "{}", run.stderr);
    assert!(run.stderr.contains("--features parquet"), "{}", run.stderr);
    assert!(!env.dir().join("out").exists());
}

#[cfg(feature = "parquet")]
mod with_parquet {
    use std::fs::File;
    use std::path::Path;

    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Int64Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    /// The number of rows of a file, and the sum of a column.
    fn read(path: &Path, column: &str) -> (usize, i64) {
        let file = File::open(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .expect("a Parquet file")
            .build()
            .expect("a reader");
        let mut sum = (0, 0);
        for batch in reader {
            let batch = batch.expect("a batch");
            let values = batch.column_by_name(column).expect(column).as_primitive::<Int64Type>();
            sum.0 += batch.num_rows();
            sum.1 += values.iter().flatten().sum::<i64>();
        }
        sum
    }

    fn parts(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { parts(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn tables_have_the_calls_of_usage_whole_and_in_parts() {
        let env = TestEnv::new();
        for home in ["sp169", "r44", "mini34"] {
            let path = testdata("homes").join(home);
            let path = path.to_str().unwrap();
            let usage = &env.run(&["usage", path, "--json"]).json()[0]["total"];
            let of = |key: &str| usage[key].as_i64().unwrap();
            let lines = env.run(&["convert", path, "-q"]).json();
            let n_of = |kind: &str| lines.iter().filter(|it| it["type"] == kind).count();
            let to = |out: &str, more: &[&str]| {
                let args = [&["convert", path, "--to", "parquet", "-q", "-o", out], more].concat();
                env.run(&args).is(0, "", "");
                env.dir().join(out)
            };
            let out = to(home, &[]);
            let calls = read(&out.join("calls.parquet"), "total_tokens");
            let expected = usize::try_from(of("model_calls")).unwrap();
            assert_eq!(calls, (expected, of("total_tokens")), "{home}");
            // Each token once, in the table of all spans as well.
            let spans = read(&out.join("spans.parquet"), "input_tokens");
            assert_eq!(spans, (n_of("span"), of("input_tokens")), "{home}");
            assert_eq!(read(&out.join("items.parquet"), "index").0, n_of("item"), "{home}");

            let parted = to(&format!("{home}-days"), &["--partition", "day"]);
            let mut files = Vec::new();
            parts(&parted.join("calls"), &mut files);
            assert!(files.iter().all(|it| it.to_str().unwrap().contains("/day=20")), "{files:?}");
            let sums = files.iter().map(|file| read(file, "total_tokens"));
            let sum = sums.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
            assert_eq!(sum, calls, "{home}");
        }
    }
}
