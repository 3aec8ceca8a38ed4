//! How pictures become points: the feature map that sources share, what pictures are brought to, and where features are kept.

use super::SourceFlags;
use super::opened::{Content, Opened};
use crate::arguments::Global;
use kme::embedding::FeatureIdentity;
use kme::{Error, Result};
use kme_image::{Channels, Decoder, Form, Protocol};
use kme_net::{FeatureCache, FeatureMap, SHIPPED};
use std::path::Path;

/// The feature map that the pictures among the sources go through: the one that is named, or that one of the sources names.
pub(super) fn named_map(all: &[Opened], flags: &SourceFlags, global: &Global) -> Result<Option<FeatureMap>> {
    let is_picture = |o: &&Opened| matches!(o.content, Content::Pictures(_) | Content::Generator(_));
    let Some(first) = all.iter().find(is_picture) else {
        if flags.size.is_some() || flags.channels.is_some() || flags.resize.is_some() {
            let allowed = "sources of pictures; there are none here";
            return Err(Error::value("--size, --channels and --resize", "given", allowed));
        }
        check_name(all, flags.features.as_deref())?;
        return Ok(None);
    };
    let place = global.context()?.place;
    if let Some(name) = &flags.features {
        return FeatureMap::named(name, &global.models(), &place).map(Some);
    }
    // An embedding says what it is to be compared with, a generator how it is to be judged.
    let embedded = all.iter().filter_map(Opened::features).find(|f| *f != &FeatureIdentity::identity());
    let card = all.iter().find_map(|o| match &o.content {
        Content::Generator(generator) => Some((generator, &o.text)),
        _ => None,
    });
    if let (None, Some((generator, text))) = (embedded, card) {
        let (_, path) = global.models().bytes(text)?;
        return FeatureMap::of_generator(generator, &path, &global.models(), &place).map(Some);
    }
    let named = embedded.map(|f| f.name.split_once('/').map_or(f.name.as_str(), |(network, _)| network));
    let needed = |why: String| Error::value("--features", "(nothing)", why);
    let Some(name) = named else {
        let classifiers = SHIPPED.iter().map(|s| s.name).filter(|name| name.contains("classifier"));
        let names = classifiers.collect::<Vec<_>>().join(", ");
        return Err(needed(format!(
            "a feature map, since {} holds pictures: pixels, {names}, or the file or run folder of a classifier",
            first.text
        )));
    };
    FeatureMap::named(name, &global.models(), &place)
        .map(Some)
        .map_err(|fault| needed(format!("a classifier's file, since '{name}' is not found by name ({fault})")))
}

/// What results say of a known network's weights that are not known.
pub(super) fn unknown_weights(name: &str, map: &FeatureMap) -> Option<String> {
    let card = kme_net::network_card(&name[..name.find(['=', ':']).unwrap_or(name.len())])?;
    let sha256 = map.identity([0; 3]).sha256.filter(|sha256| card.known(sha256).is_none())?;
    Some(format!(
        "{name}: the SHA-256 of these weights, {sha256}, is not one that is known for {}: other weights give other numbers (kme \
         models info {} lists those that are known)",
        card.name, card.name
    ))
}

/// Without pictures nothing is mapped: a name that is given must be that of the points at hand.
fn check_name(all: &[Opened], name: Option<&str>) -> Result<()> {
    let Some(name) = name.filter(|name| *name != "identity") else { return Ok(()) };
    for source in all {
        let Some(features) = source.features() else {
            let allowed = format!("identity, since {} holds points, not pictures", source.text);
            return Err(Error::value("--features", name, allowed));
        };
        let known = features.name.split_once('/').map_or(features.name.as_str(), |(network, _)| network);
        if known != kme_net::canonical(name) && Path::new(name).file_stem().is_none_or(|stem| stem != known) {
            let remedy = "leave out --features, or embed the pictures again";
            return Err(Error::mismatch("feature map", name, format!("'{}' ({})", features.name, source.text), remedy));
        }
    }
    Ok(())
}

/// Where features are kept. Only those of networks are worth it.
pub(super) fn cache(map: Option<&FeatureMap>, flags: &SourceFlags) -> Result<Option<FeatureCache>> {
    if flags.no_cache || map.is_none_or(|map| matches!(map, FeatureMap::Pixels)) {
        return Ok(None);
    }
    match &flags.cache_dir {
        Some(folder) => {
            let cache = FeatureCache::new(folder.clone());
            // What was asked for is checked before hours of work; the default is made when it is needed.
            let help = "give another folder with --cache-dir, or do without by --no-cache";
            cache.prepare().map_err(|fault| fault.advising(help))?;
            Ok(Some(cache))
        }
        None => Ok(FeatureCache::of_user()),
    }
}

/// What pictures are brought to when they are read, by `resize` unless the flags name another way.
pub(super) fn form(map: Option<&FeatureMap>, flags: &SourceFlags, resize: Option<Protocol>) -> Result<Form> {
    let convert = |colour| Decoder::new(Channels::Convert(colour));
    let max_pixels = flags.max_pixels;
    match map.map(FeatureMap::form).transpose()?.flatten() {
        Some(form) => {
            if flags.size.is_some() || flags.channels.is_some() {
                let [c, h, w] = map.and_then(FeatureMap::input).unwrap_or_default();
                let why = format!("nothing here: this feature map itself brings pictures to {c}x{h}x{w}");
                return Err(Error::value("--size and --channels", "given", why));
            }
            Ok(Form { decoder: Decoder { max_pixels, ..form.decoder }, ..form })
        }
        None => {
            let decoder = flags.channels.map_or_else(Decoder::default, convert);
            let decoder =
                Decoder { reading: flags.resize.or(resize).unwrap_or_default().reading(), max_pixels, ..decoder };
            let resize = match (flags.size, flags.resize) {
                (Some(size), asked) => Some(asked.or(resize).map_or(size, |protocol| size.with(protocol))),
                (None, Some(protocol)) => {
                    let allowed = "given together with --size HEIGHTxWIDTH for --features pixels";
                    return Err(Error::value("--resize", protocol, allowed));
                }
                (None, None) => None,
            };
            Ok(Form { decoder, resize, ..Form::default() })
        }
    }
}
