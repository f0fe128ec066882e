//! Keeps space set aside for the day on which the disk is full, and sets it aside again when there is room.

use crate::service::Core;
use crate::worker::Stop;
use std::time::Duration;

/// Between two looks.
const ROUND: Duration = Duration::from_secs(2);

/// Looks until told to stop.
pub(crate) async fn keep_reserve(core: Core, stop: Stop) {
    let mut before = None;
    while !stop.is_given() {
        let reserve = core.store.reserve.clone();
        let held = match tokio::task::spawn_blocking(move || reserve.fill()).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                tracing::debug!(error = %error, "no space can be set aside");
                false
            }
            Err(error) => {
                tracing::error!(error = %error, "setting space aside ended early");
                false
            }
        };
        if before != Some(held) {
            if !held {
                tracing::warn!("there is no room to set space aside for a full disk");
            } else if before.is_some() {
                tracing::info!("there is room on the disk again; everything goes on");
            }
            before = Some(held);
        }
        metrics::gauge!("consentd_reserve_spent").set(if core.store.reserve.is_spent() { 1.0 } else { 0.0 });
        tokio::select! {
            () = core.clock.sleep(ROUND) => {}
            () = stop.given() => {}
        }
    }
}
