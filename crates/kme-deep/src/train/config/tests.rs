use super::*;
use crate::train::Plan;
use kme_net::layer::{self, Layer, Shape};
use std::path::Path;

#[test]
fn presets_parse_and_print() {
    for preset in Plan::presets() {
        let config = Plan::load(preset.name).unwrap().into_config();
        assert_eq!(
            Plan::parse(&config.to_toml(), Path::new("printed")).unwrap().into_config(),
            config,
            "{}",
            preset.name
        );
    }
}

/// Every preset's networks fit its data and one another, without making them: some are large.
#[test]
fn networks_of_presets_fit() {
    for preset in Plan::presets() {
        let config = Plan::load(preset.name).unwrap().into_config();
        let Some(generator) = &config.generator else { continue };
        let shape = match (config.data.is_points(), &generator.decoder) {
            (true, _) => [2, 1, 1],
            (_, Some(_)) => [32, 1, 1],
            (false, None) => {
                let (size, channels) = config.data.picture().unwrap();
                [channels, size, size]
            }
        };
        let classes = if generator.conditional { 10 } else { 0 };
        let inputs = generator.latent.dim + classes;
        let fits = |layers: Result<Vec<Layer>>, input: Shape, output: Shape| {
            let found = layers.and_then(|layers| layer::output_shape_all(&layers, input));
            assert_eq!(found.unwrap_or_else(|e| panic!("{}: {e}", preset.name)), output, "{}", preset.name);
        };
        fits(generator.net.layers(inputs, shape), [inputs, 1, 1], shape);
        let Some(critic) = &config.critic else { continue };
        let seen = [shape[0] + classes, shape[1], shape[2]];
        fits(critic.net.layers(seen, critic.top), seen, [critic.top, 1, 1]);
        if let Some(decoder) = &critic.decoder {
            fits(decoder.layers(critic.top, shape), [critic.top, 1, 1], shape);
        }
    }
}

#[test]
fn messages_name_the_key() {
    let toml = Plan::load("fashion-mmd-gan").unwrap().into_config().to_toml();
    let message = |from: &str, to: &str| {
        assert!(toml.contains(from), "{from} in\n{toml}");
        Plan::parse(&toml.replace(from, to), Path::new("c.toml")).unwrap_err().to_string()
    };
    assert!(message("steps = ", "stepz = ").contains("stepz"));
    assert!(message("kernel = \"rq", "kernel = \"rqq").contains("rqq"));
    assert!(message("channels = 1", "channels = 2").contains("data.channels is 2"));
    assert!(message("kind = \"mmd\"", "kind = \"mmmd\"").contains("mmmd"));
    assert!(message("features = \"critic\"", "features = \"identity\"").contains("critic"));
    let mut config = Plan::load("fashion-mmd-gan").unwrap().into_config();
    config.seed = u64::MAX;
    assert!(config.check().unwrap_err().to_string().contains("seed"));
    for (preset, key, value, expected) in [
        ("fashion-sn-smmd-gan", "critic.clip_weights", "0.01", "beside critic.spectral"),
        (
            "fashion-mmd-gan",
            "critic.net",
            "{ kind = \"dcgan\", width = 4, batch_norm = true }",
            "not of a whole batch's",
        ),
        ("fashion-mcgan", "objective.components", "17", "0 to 16"),
        ("25-gaussians", "score.features", "inception", "Leave it out"),
    ] {
        let message = Plan::load_with(preset, &[(key.into(), value.into())]).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains(expected), "{message}");
    }
    let near = Plan::load("fashion-mmd-gn").unwrap_err();
    assert!(matches!(&near, Error::UnknownName { what, known, .. } if what == "preset" && known.len() > 12));
    assert!(near.to_string().contains("did you mean 'fashion-mmd-gan'"), "{near}");
    for file in ["mine.toml", "no/such"] {
        assert!(matches!(Plan::load(file), Err(Error::Io { .. })));
    }
}

#[test]
fn faults_of_a_file_are_told_in_its_words() {
    let text = Plan::load("fashion-mmd-gan").unwrap().into_config().to_toml();
    let fault = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} in\n{text}");
        Plan::parse(&text.replace(from, to), Path::new("c.toml")).unwrap_err().to_string()
    };
    let whole = "but must be a whole number from 0 on";
    for (from, to, expected) in [
        ("batch = 64", "batch = \"x\"", &format!("batch is \"x\", {whole}")[..]),
        ("batch = 64", "batch = -3", &format!("batch is -3, {whole}")),
        ("batch = 64", "", "c.toml: batch is missing"),
        ("batch = 64", "batch = 99999999999999999999", "at most 9223372036854775807"),
        ("beta1 = 0.5", "beta1 = \"x\"", "optimiser.beta1 is \"x\", but must be a number"),
        ("beta1 = 0.5", "", "optimiser.beta1 is missing"),
        ("beta1 = 0.5", "beta3 = 0.5", "optimiser: unknown setting 'beta3'; did you mean 'beta1'"),
        ("kind = \"adam\"", "kind = \"eve\"", "unknown optimiser.kind 'eve'; choose one of adam, sgd, rmsprop"),
        ("kind = \"adam\"", "", "optimiser.kind is missing"),
        (
            "prior = \"normal\"",
            "prior = \"odd\"",
            "unknown generator.latent.prior 'odd'; choose one of normal, uniform",
        ),
        ("prior = \"normal\"", "prior = 3", "generator.latent.prior is 3, but must be one of normal, uniform"),
        ("[critic.net]\n", "[critic.net]\ndepth = 3\n", "critic.net: unknown setting 'depth'"),
        ("channels = 1", "channels = 1\nflip = 3", "data.flip is 3, but must be true or false"),
        (
            "[generator]",
            "[objective.random_features]\ncount = \"x\"\n[generator]",
            &format!("objective.random_features.count is \"x\", {whole}"),
        ),
        (
            "[generator]",
            "[objective.random_features]\ncount = 3\ncuont = 3\n[generator]",
            "objective.random_features: unknown setting 'cuont'; did you mean 'count'",
        ),
        (
            "[generator]",
            "[objective.random_features]\nredraw = true\n[generator]",
            "objective.random_features.count is missing",
        ),
    ] {
        let message = fault(from, to);
        assert!(message.contains(expected), "{to}: {message}");
        for word in ["usize", "u64", "f64", "struct", "enum", "field", "variant", "i128"] {
            assert!(!message.contains(word), "{to}: {message}");
        }
    }
}

#[test]
fn differences_are_named() {
    let config = Plan::load("fashion-mmd-gan").unwrap().into_config();
    assert!(config.differences(&config).is_empty());
    let sets = [("optimiser.beta1".to_string(), "0.25".to_string()), ("data.held_out".into(), "".into())];
    let other = Plan::load_with("fashion-mmd-gan", &sets).unwrap().into_config();
    let held_out = ["data.held_out", "\"fashion-mnist:test\"", "nothing"].map(String::from);
    let rate = ["optimiser.beta1", "0.5", "0.25"].map(String::from);
    assert_eq!(config.differences(&other), [held_out, rate.clone()]);
    let other = Plan::load_with("fashion-mmd-gan", &sets[..1]).unwrap().into_config();
    assert_eq!(config.differences(&other), [rate]);
    let [key, was, is] = &other.differences(&Plan::load_with("fashion-mmd-gan", &[]).unwrap().into_config())[0];
    assert_eq!([&key[..], &was[..], &is[..]], ["optimiser.beta1", "0.25", "0.5"]);
}
