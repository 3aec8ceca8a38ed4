//! `kme merge`

use super::embed::write_statistics;
use crate::arguments::Global;
use crate::ending::Ending;
use crate::output::{self, fields};
use clap::Args;
use kme::{AnyEmbedding, EmbeddingKind, Error, Result};
use kme_deep::naming;
use serde_json::json;
use std::path::PathBuf;

/// Merge embeddings of parts of a sample into the embedding of the whole
///
/// The parts may come in any order: the result has the same bytes as the embedding of the whole sample. All parts must have
/// the same kernel, feature map and form. For a weighted mixture write '0.7*a.kme + 0.3*b.kme' wherever an embedding is
/// expected.
#[derive(Args)]
#[command(before_help = "\
Examples:
  for i in 1 2 3 4; do kme embed x.npy -o part-$i.kme --shard $i/4; done
  kme merge part-?.kme -o x.kme
  kme merge part-?.kme -o statistics.npz    mean and covariance, as pytorch-fid has them")]
pub(crate) struct Arguments {
    /// The embeddings to merge
    #[arg(value_name = "A.kme", required = true)]
    parts: Vec<PathBuf>,
    /// Write the merged embedding (.kme), or the mean and covariance of its points (.npz)
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let allowed = "a name that ends in .kme (an embedding) or .npz (mean and covariance)";
    let is_statistics = Ending::of(&arguments.output, &[Ending::Kme, Ending::Npz], allowed)? == Ending::Npz;
    output::check_place(&arguments.output)?;
    let mut parts = Vec::new();
    for path in &arguments.parts {
        let part = AnyEmbedding::read(path)?;
        if part.kind() == EmbeddingKind::Combination {
            return Err(Error::format(
                path,
                "a combination cannot be pooled; write a sum such as 'a.kme + b.kme' instead",
            ));
        }
        parts.push(part);
    }
    let merged = AnyEmbedding::merge(&parts.iter().collect::<Vec<_>>()).map_err(|fault| {
        // All were compared with the first: the first of them that differs is meant.
        let differs = |part: &&AnyEmbedding| AnyEmbedding::merge(&[&parts[0], part]).is_err();
        match parts.iter().position(|part| differs(&part)) {
            Some(i) => naming(fault, arguments.parts[0].display(), arguments.parts[i].display()),
            None => fault,
        }
    })?;
    match &merged {
        AnyEmbedding::Points(embedding) if is_statistics => {
            if embedding.masses().is_some() {
                let allowed = "a .kme file, since the points have weights, which statistics do not hold";
                return Err(Error::parameter("output", arguments.output.display(), allowed));
            }
            write_statistics(embedding.points(), embedding.features(), &arguments.output)?;
        }
        AnyEmbedding::Mean(_) if is_statistics => {
            let allowed = "a .kme file, since these embeddings hold the mean of random features, not points";
            return Err(Error::parameter("output", arguments.output.display(), allowed));
        }
        _ => merged.write(&arguments.output)?,
    }
    let (n, d) = (merged.len(), merged.dim());
    let text = format!(
        "{}: {} of dimension {d} from {}",
        arguments.output.display(),
        output::counted(n, "point"),
        output::counted(parts.len(), "file")
    );
    let json = json!({
        "output": output::name(&arguments.output),
        "form": merged.form(),
        "n": n,
        "d": d,
        "kernel": merged.kernel().to_string(),
        "features": merged.features(),
        "parts": parts.len(),
    });
    output::print(global, &text, fields(json))?;
    Ok(true)
}
