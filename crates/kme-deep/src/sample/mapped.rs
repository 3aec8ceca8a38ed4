//! How pictures become points: the feature map that sources share, what pictures are brought to, and where features are kept.

use super::opened::{Content, Opened};
use super::{Cache, Reader, SourceSettings};
use kme::{Error, FeatureIdentity, Field, Result};
use kme_image::{Channels, Decoder, Form};
use kme_net::{FeatureCache, FeatureMap, SHIPPED};
use std::path::Path;
use std::sync::Arc;

/// The feature map that the pictures among the sources go through: the one that is named, or that one of the sources names.
pub(super) fn named_map(all: &[Opened], reader: &Reader) -> Result<Option<Arc<dyn FeatureMap>>> {
    let (settings, context) = (reader.settings, reader.context);
    let is_picture = |o: &&Opened| matches!(o.content, Content::Pictures(_) | Content::Generator(_));
    let Some(first) = all.iter().find(is_picture) else {
        let given = [
            ("size", settings.size.is_some()),
            ("channels", settings.channels.is_some()),
            ("resize", settings.resize.is_some()),
        ];
        if let Some((parameter, _)) = given.iter().find(|(_, is_given)| *is_given) {
            return Err(Error::not_applicable(*parameter, "there are no pictures among the sources"));
        }
        check_name(all, settings.features.as_deref())?;
        return Ok(None);
    };
    let (models, place) = (&context.models, &context.place);
    if let Some(name) = &settings.features {
        return models.feature_map(name, place).map(Some);
    }
    // An embedding says what it is to be compared with, a generator how it is to be judged.
    let embedded = all.iter().filter_map(Opened::features).find(|f| *f != &FeatureIdentity::identity());
    let card = all.iter().find_map(|o| match &o.content {
        Content::Generator(generator) => Some((generator, &o.text)),
        _ => None,
    });
    if let (None, Some((generator, text))) = (embedded, card) {
        return models.feature_map_of(&**generator, text, place).map(Some);
    }
    let named = embedded.map(|f| f.name.split_once('/').map_or(f.name.as_str(), |(network, _)| network));
    let Some(name) = named else {
        let classifiers = SHIPPED.iter().map(|s| s.name).filter(|name| name.contains("classifier"));
        let names = classifiers.collect::<Vec<_>>().join(", ");
        let remedy = format!(
            "{} holds pictures. Name a feature map: pixels, {names}, or the file or run folder of a classifier",
            first.text
        );
        return Err(Error::missing("features", remedy));
    };
    models.feature_map(name, place).map(Some).map_err(|fault| {
        Error::missing("features", format!("name the file of '{name}', which is not found by its name ({fault})"))
    })
}

/// What results say of a known network's weights that are not known.
pub(super) fn unknown_weights(name: &str, map: &dyn FeatureMap) -> Option<String> {
    let card = kme_net::network_card(&name[..name.find(['=', ':']).unwrap_or(name.len())])?;
    let sha256 = map.sha256().filter(|sha256| card.known(sha256).is_none())?;
    Some(format!(
        "{name}: the SHA-256 of these weights, {sha256}, is not one that is known for {}: other weights give other numbers",
        card.name
    ))
}

/// Without pictures nothing is mapped: a name that is given must be that of the points at hand.
fn check_name(all: &[Opened], name: Option<&str>) -> Result<()> {
    let Some(name) = name.filter(|name| *name != "identity") else { return Ok(()) };
    for source in all {
        let Some(features) = source.features() else {
            let allowed = format!("identity, since {} holds points, not pictures", source.text);
            return Err(Error::parameter("features", name, allowed));
        };
        let known = features.name.split_once('/').map_or(features.name.as_str(), |(network, _)| network);
        if known != kme_net::canonical(name) && Path::new(name).file_stem().is_none_or(|stem| stem != known) {
            let remedy = "leave out `features`, or embed the pictures again";
            let own = format!("'{}' ({})", features.name, source.text);
            return Err(Error::mismatch(Field::FeatureMap, name, own, remedy));
        }
    }
    Ok(())
}

/// Where features are kept. Only those of networks are worth it.
pub(super) fn cache(map: Option<&dyn FeatureMap>, settings: &SourceSettings) -> Result<Option<FeatureCache>> {
    if map.is_none_or(|map| map.sha256().is_none()) {
        return Ok(None);
    }
    match &settings.cache {
        Cache::None => Ok(None),
        Cache::Folder(folder) => {
            let cache = FeatureCache::new(folder.clone());
            // What was asked for is checked before hours of work; the default is made when it is needed.
            let help = "give another folder with `cache_dir`, or switch the cache off with `no_cache`";
            cache.prepare().map_err(|fault| fault.advising(help))?;
            Ok(Some(cache))
        }
        Cache::User => Ok(FeatureCache::of_user()),
    }
}

/// What pictures are brought to when they are read, by the protocol of a tool unless the settings name another.
pub(super) fn form(map: Option<&dyn FeatureMap>, reader: &Reader) -> Result<Form> {
    let Reader { settings, resize, .. } = *reader;
    let convert = |colour| Decoder::new(Channels::Convert(colour));
    let max_pixels = settings.max_pixels;
    match map.map(FeatureMap::form).transpose()?.flatten() {
        Some(form) => {
            let given = [("size", settings.size.is_some()), ("channels", settings.channels.is_some())];
            if let Some((parameter, _)) = given.iter().find(|(_, is_given)| *is_given) {
                let [c, h, w] = map.and_then(FeatureMap::input).unwrap_or_default();
                let reason = format!("the feature map resizes pictures itself, to {c}x{h}x{w}");
                return Err(Error::not_applicable(*parameter, reason));
            }
            Ok(Form { decoder: Decoder { max_pixels, ..form.decoder }, ..form })
        }
        None => {
            let decoder = settings.channels.map_or_else(Decoder::default, convert);
            let decoder =
                Decoder { reading: settings.resize.or(resize).unwrap_or_default().reading(), max_pixels, ..decoder };
            let resize = match (settings.size, settings.resize) {
                (Some(size), asked) => Some(asked.or(resize).map_or(size, |protocol| size.with(protocol))),
                (None, Some(_)) => {
                    return Err(Error::missing("size", "say what pictures are resized to, or leave out `resize`"));
                }
                (None, None) => None,
            };
            Ok(Form { decoder, resize, ..Form::default() })
        }
    }
}
