//! Test whether two samples come from one distribution.
//!
//! ```text
//! $ kme test assets/points/before.csv assets/points/after.csv
//! assets/points/before.csv and assets/points/after.csv differ: p = 0.001 <= 0.05
//! mmd2       0.084 ± 0.034
//! kernel     gaussian:sigma=0.893
//! kernels    13 of 16 reject
//! method     aggregated, 999 permutations
//! statistic  0.001
//! points     80, 80
//! features   identity
//! seed       0
//!
//! kernel                mmd2           in deviations  own p  corrected p
//! gaussian:sigma=0.893  0.084 ± 0.034          8.998  0.001        0.001
//! laplacian:scale=1.26  0.058 ± 0.024          9.081  0.001        0.001
//! laplacian:scale=2.37  0.056 ± 0.023          9.495  0.001        0.001
//! gaussian:sigma=1.67   0.084 ± 0.035          9.532  0.001        0.001
//! laplacian:scale=4.44  0.043 ± 0.018          9.571  0.001        0.001
//! laplacian:scale=8.32  0.029 ± 0.012          9.558  0.001        0.001
//!
//! $ cargo run --release --example 07_test
//! p = 0.001
//! ```

use kme::{Points, TwoSampleTest};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let before = Points::read("assets/points/before.csv")?;
    let after = Points::read("assets/points/after.csv")?;
    let found = TwoSampleTest::default().run(&before, &after)?;
    Ok(format!("p = {}", found.outcome().p_value))
}
