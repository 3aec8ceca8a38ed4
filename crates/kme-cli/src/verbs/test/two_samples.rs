//! Whether two samples differ.

use super::report::short;
use super::{Arguments, Finding, Test, line, measured, value};
use crate::output::{self, fields, with_error};
use kme::{Kernel, Measured, Result, TwoSampleFinding, TwoSampleMethod, TwoSampleTest};
use serde_json::json;

/// Kernels that are printed; the JSON has all.
const KERNELS: usize = 6;

/// What is asked for, but for what the samples say.
pub(super) fn request(arguments: &Arguments) -> TwoSampleTest<'static> {
    TwoSampleTest {
        method: arguments.method,
        kernels: arguments.kernels.clone(),
        estimator: arguments.estimator,
        block_size: arguments.block_size,
        alpha: arguments.alpha,
        ..TwoSampleTest::default()
    }
}

impl Test<'_> {
    /// How two samples are compared.
    pub(super) fn method(&self) -> TwoSampleMethod {
        request(self.arguments).method_for(self.points(0).len(), self.points(1).len())
    }

    pub(super) fn two_samples(&self) -> Result<Finding> {
        let arguments = self.arguments;
        let mut test = TwoSampleTest { permutations: self.permutations(), ..request(arguments) };
        if arguments.kernels.is_empty() && self.method() != TwoSampleMethod::Aggregated {
            test.fallback = (&self.kernel(&test.fallback)?).into();
        }
        let (a, b) = (self.texts[0], self.texts[1]);
        let verdicts = [format!("{a} and {b} differ"), format!("no difference found between {a} and {b}")];
        let finding = |outcome, method, found: Measured, estimator: &str, kernel: &Kernel| {
            let mut lines = value("mmd2", found);
            lines.push(line("kernel", kernel));
            let json = json!({ "metric": "mmd2", "estimator": estimator, "kernel": kernel.to_string() });
            let json = fields(json).into_iter().chain(fields(json!(found))).collect();
            Finding { outcome, verdicts: verdicts.clone(), method, lines, table: String::new(), json }
        };
        Ok(match test.run(self.points(0), self.points(1))? {
            TwoSampleFinding::Aggregated(found) => {
                let mut order: Vec<&kme::Component> = found.components.iter().collect();
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
                result
            }
            TwoSampleFinding::Permutation(found) => {
                let of = &found.estimate;
                finding(found.outcome, "permutation", of.into(), &of.estimator.to_string(), &of.kernel)
            }
            TwoSampleFinding::Block(found) => {
                let measured = measured(found.mmd2, found.standard_error, found.standard_error_missing);
                let mut result = finding(found.outcome, "block", measured, "unbiased", &found.kernel);
                let text = format!("{} of {} and {} points", found.blocks, found.block_n, found.block_m);
                result.lines.push(line("blocks", text));
                let blocks = json!({ "count": found.blocks, "n": found.block_n, "m": found.block_m });
                result.json.insert("blocks".into(), blocks);
                result
            }
            TwoSampleFinding::Linear(found) => {
                let of = &found.estimate;
                finding(found.outcome, "linear", of.into(), "linear", &of.kernel)
            }
        })
    }
}

/// The kernels that show most.
fn table(components: &[&kme::Component]) -> String {
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
