//! The pages about the services.

use ringbus::{Bus, InstanceSnapshot, ServiceSnapshot};
use serde_json::{Value, json};

use crate::answer::Answer;

/// Well, if every service has an instance that can be asked.
pub(crate) fn health(bus: &Bus) -> Answer {
    let services = bus.services();
    let able = |service: &ServiceSnapshot| {
        let instances = service.instances.iter();
        instances.filter(|instance| !instance.ejected).count()
    };
    let well = services.iter().all(|service| able(service) > 0);
    let counts: serde_json::Map<String, Value> = services
        .iter()
        .map(|service| (name(service).to_owned(), able(service).into()))
        .collect();
    let status = if well { "ok" } else { "unavailable" };
    Answer::new(
        if well { 200 } else { 503 },
        json!({ "status": status, "instances": counts }),
    )
}

/// Who serves, and how busy they are.
pub(crate) fn services(bus: &Bus) -> Answer {
    let services: Vec<_> = bus
        .services()
        .iter()
        .map(|service| {
            let instances: Vec<_> = service.instances.iter().map(instance).collect();
            json!({ "service": name(service), "instances": instances })
        })
        .collect();
    Answer::new(200, services)
}

fn instance(instance: &InstanceSnapshot) -> Value {
    json!({
        "name": instance.name.as_deref(),
        "outstanding": instance.waiting + instance.serving,
        "replied": instance.replied,
        "panicked": instance.panicked,
        "ejected": instance.ejected,
    })
}

fn name(service: &ServiceSnapshot) -> &str {
    service.name.as_deref().unwrap_or(service.request)
}
