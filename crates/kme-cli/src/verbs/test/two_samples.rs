//! Whether two samples differ.

use super::report::short;
use super::{Finding, Method, Test, line, measured, value};
use crate::output::{self, fields, with_error};
use kme::evaluate::Measured;
use kme::inference::{self, Blocks};
use kme::{Kernel, Result};
use serde_json::json;

/// Most points of both samples for the aggregated test, unless it is asked for.
const AGGREGATED: usize = 8_000;

/// Most points of both samples for a test of all pairs, unless it is asked for.
const PERMUTATION: usize = 80_000;

/// Kernels that are printed; the JSON has all.
const KERNELS: usize = 6;

impl Test<'_> {
    /// How two samples are compared: as was asked for, else by the number of points.
    pub(super) fn method(&self) -> Method {
        let total = self.points(0).len() + self.points(1).len();
        self.arguments.method.unwrap_or(match self.arguments.kernels.len() {
            2.. => Method::Aggregated,
            0 if total <= AGGREGATED => Method::Aggregated,
            _ if total <= PERMUTATION => Method::Permutation,
            _ => Method::Block,
        })
    }

    /// The blocks of a block test.
    pub(super) fn blocks(&self) -> Result<Blocks> {
        let (n, m) = (self.points(0).len(), self.points(1).len());
        match (self.arguments.method, self.arguments.block_size) {
            (_, Some(size)) => Blocks::of_size(n, m, size),
            (Some(_), None) => Blocks::usual(n, m),
            (None, None) => Blocks::large(n, m),
        }
    }

    pub(super) fn two_samples(&self) -> Result<Finding> {
        let arguments = self.arguments;
        let (x, y) = (self.points(0), self.points(1));
        let method = self.method();
        let permutations = self.permutations();
        match method {
            Method::Aggregated | Method::Permutation => {
                permutations.check(arguments.alpha, x.len(), y.len(), true)?;
            }
            Method::Block | Method::Linear => permutations.check_level(arguments.alpha)?,
        }
        let kernel = || self.kernel("gaussian:sigma=median");
        let (a, b) = (self.texts[0], self.texts[1]);
        let verdicts = [format!("{a} and {b} differ"), format!("no difference found between {a} and {b}")];
        let finding = |outcome, method, found: Measured, estimator: &str, kernel: &Kernel| {
            let mut lines = value("mmd2", found);
            lines.push(line("kernel", kernel));
            let json = json!({ "metric": "mmd2", "estimator": estimator, "kernel": kernel.to_string() });
            let json = fields(json).into_iter().chain(fields(json!(found))).collect();
            Finding { outcome, verdicts: verdicts.clone(), method, lines, table: String::new(), json }
        };
        match method {
            Method::Aggregated => {
                let kernels = match arguments.kernels.as_slice() {
                    [] => inference::collection(x, y)?,
                    specs => specs.iter().map(|spec| self.resolved(spec)).collect::<Result<_>>()?,
                };
                let found = inference::aggregated(&kernels, x, y, &permutations)?;
                let mut order: Vec<&inference::Component> = found.components.iter().collect();
                order.sort_by(|a, b| a.p_value.total_cmp(&b.p_value).then(b.in_errors().total_cmp(&a.in_errors())));
                let best = order[0];
                let of_best = measured(best.mmd2, best.standard_error, best.standard_error_missing);
                let mut result = finding(found.outcome, "aggregated", of_best, "unbiased", &best.kernel);
                let rejecting = order.iter().filter(|c| c.p_value <= arguments.alpha).count();
                result.lines.push(line("kernels", format!("{rejecting} of {} reject", order.len())));
                result.table = table(&order);
                let json = found.components.iter().map(|c| {
                    let mut told = json!(c);
                    told["kernel"] = c.kernel.to_string().into();
                    told["reject"] = (c.p_value <= arguments.alpha).into();
                    told
                });
                result.json.insert("kernels".into(), json.collect());
                Ok(result)
            }
            Method::Permutation => {
                let estimator = arguments.estimator.unwrap_or_default();
                let found = inference::two_sample(&kernel()?, x, y, estimator, &permutations)?;
                let of = &found.estimate;
                let name = estimator.to_string();
                let measured = Measured::from(of);
                Ok(finding(found.outcome, "permutation", measured, &name, &of.kernel))
            }
            Method::Block => {
                let (blocks, kernel) = (self.blocks()?, kernel()?);
                let found = inference::block(&kernel, x, y, blocks, &permutations)?;
                let measured = measured(found.mmd2, found.standard_error, found.standard_error_missing);
                let mut result = finding(found.outcome, "block", measured, "unbiased", &kernel);
                let text = format!("{} of {} and {} points", found.blocks, found.block_n, found.block_m);
                result.lines.push(line("blocks", text));
                let blocks = json!({ "count": found.blocks, "n": found.block_n, "m": found.block_m });
                result.json.insert("blocks".into(), blocks);
                Ok(result)
            }
            Method::Linear => {
                let found = inference::linear(&kernel()?, x, y, &permutations)?;
                let of = &found.estimate;
                let measured = Measured::from(of);
                Ok(finding(found.outcome, "linear", measured, "linear", &of.kernel))
            }
        }
    }
}

/// The kernels that show most.
fn table(components: &[&inference::Component]) -> String {
    let mut rows = vec![["kernel", "mmd2", "in deviations", "own p", "corrected p"].map(String::from).to_vec()];
    rows.extend(components.iter().take(KERNELS).map(|c| {
        let [z, own, corrected] = [c.standardised, c.own_p_value, c.p_value].map(short);
        vec![c.kernel.to_string(), with_error(c.mmd2, c.standard_error), z, own, corrected]
    }));
    let told = components.iter().take(KERNELS).filter_map(|c| Some(c.standard_error_missing?.to_string()));
    let mut reasons: Vec<String> = told.collect();
    reasons.dedup();
    let reasons = reasons.iter().map(|reason| format!("where there is no standard error, {reason}\n"));
    output::aligned(&rows) + &reasons.collect::<String>()
}
