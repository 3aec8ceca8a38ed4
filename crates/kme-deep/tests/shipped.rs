//! The networks that come with the program are as good as their cards say.

use kme_deep::{Match, Reference, bandwidth};
use kme_image::{Decoder, Images};
use kme_image::{Form, Places, Source};
use kme_net::{Classifier, FeatureMap, Generator, Models, Place};
use std::path::Path;
use std::sync::Arc;

const BAG: usize = 8;
const ANKLE_BOOT: usize = 9;

fn generator() -> Arc<dyn Generator> {
    Models::default().generator("fashion", &Place::cpu()).unwrap()
}

fn classifier() -> Classifier {
    let (bytes, path) = Models::default().bytes("fashion-classifier").unwrap();
    Classifier::parse(&bytes, &path, &Place::cpu()).unwrap()
}

fn map() -> Arc<dyn FeatureMap> {
    Models::default().feature_map("fashion-classifier", &Place::cpu()).unwrap()
}

fn example(name: &str) -> Images {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/examples").join(name);
    Decoder::default().read(&path).unwrap()
}

#[test]
fn all_ten_classes_are_generated() {
    let pictures = generator().sample(1000, 1).unwrap();
    let classifier = classifier();
    let mut counts = [0; 10];
    for class in classifier.classify(&pictures).unwrap() {
        counts[class] += 1;
    }
    println!("{counts:?}");
    assert!(counts.iter().all(|&count| count >= 40), "of 1000: {counts:?}");
    // Recognisable: the classifier is rarely in doubt.
    let sure = classifier.logits(&pictures).unwrap().into_iter().filter(|row| {
        let most = row.iter().copied().fold(f32::MIN, f32::max);
        1.0 / row.iter().map(|x| (x - most).exp()).sum::<f32>() > 0.5
    });
    let sure = sure.count();
    println!("more than half sure of {sure} of 1000");
    assert!(sure > 930, "{sure}");
}

/// The README's example: outputs for a boot and a bag are boots and bags.
#[test]
fn a_match_gives_what_was_shown() {
    let (generator, map) = (generator(), map());
    let inputs = Images::concat(&[example("ankle-boot.png"), example("bag.png")]).unwrap();
    let points = map.features((&inputs).into()).unwrap();
    let c = bandwidth(&points, &map.features((&generator.sample(200, 0).unwrap()).into()).unwrap()).unwrap();
    let kernel = format!("imq:c={c}").parse().unwrap();
    let target = kme::Embedding::of(&points, kernel).unwrap().with_features(map.identity([1, 28, 28]));
    let settings = Match { steps: 100, ..Match::default() };
    let matched = settings.run(&*generator, &*map, &target, &()).unwrap();
    assert!(matched.after < matched.before && matched.before < matched.random);
    let classes = classifier().classify(&matched.pictures).unwrap();
    assert!(classes.contains(&BAG) && classes.contains(&ANKLE_BOOT), "{classes:?}");
    assert!(classes.iter().all(|c| [BAG, ANKLE_BOOT].contains(c)), "{classes:?}");
}

#[test]
#[ignore = "needs Fashion-MNIST (Debian's dataset-fashion-mnist)"]
fn scores_on_fashion_mnist_are_those_of_the_cards() {
    let held_out = Source::parse("fashion-mnist:test", &Places::new(None)).unwrap().load(&Form::default()).unwrap();
    let images = held_out.images().unwrap();
    let found = classifier().classify(&images).unwrap();
    let labels = held_out.labels().unwrap();
    let wrong = found.iter().zip(labels).filter(|&(&class, &label)| class != label as usize).count();
    println!("error rate {}", wrong as f64 / images.len() as f64);
    assert!(wrong < 850, "{wrong} of 10000");

    let first: Vec<usize> = (0..2000).collect();
    let reference = Reference::new(map(), &images.select(&first).unwrap()).unwrap();
    let kid = reference.kid(&generator().sample(2000, 0).unwrap()).unwrap();
    println!("KID {:.2} ± {:.2}", kid.value, kid.standard_error.unwrap());
    assert!(kid.value < 20.0, "{}", kid.value);
}
