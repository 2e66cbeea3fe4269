//! The routes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::deadline::{self, Call};
use crate::quotes::Quotes;
use crate::ticks;
use crate::vitals::Vitals;
use crate::worker::Order;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) quotes: Arc<Quotes>,
    orders: mpsc::Sender<Order>,
    stopping: CancellationToken,
}

impl App {
    pub(crate) fn new(
        quotes: Quotes,
        orders: mpsc::Sender<Order>,
        stopping: CancellationToken,
    ) -> App {
        App {
            quotes: Arc::new(quotes),
            orders,
            stopping,
        }
    }
}

/// The routes; all but the stream within `time`.
pub(crate) fn router(app: App, time: Duration) -> axum::Router {
    axum::Router::new()
        .route("/quote/{symbol}", get(quote))
        .route("/orders", post(order))
        .layer(axum::middleware::from_fn_with_state(time, deadline::layer))
        .route("/ticks", get(tick))
        .route("/metrics", get(metrics))
        .with_state(app)
}

async fn quote(
    State(app): State<App>,
    Extension(call): Extension<Call>,
    Path(symbol): Path<String>,
) -> Result<String, (StatusCode, String)> {
    match app.quotes.get(&call, &symbol).await {
        Ok(quote) => Ok(quote.to_string()),
        Err(error) => Err((StatusCode::BAD_GATEWAY, error.to_string())),
    }
}

/// Queues an order; a full queue is the client's to know.
async fn order(State(app): State<App>, Json(order): Json<Value>) -> StatusCode {
    let items = order["items"].as_array().into_iter().flatten();
    let order = Order {
        customer: order["customer"].as_u64().unwrap_or(0),
        items: items
            .filter_map(|item| Some(item.as_str()?.to_owned()))
            .collect(),
    };
    match app.orders.try_send(order) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn tick(State(app): State<App>) -> Response {
    ticks::stream(Duration::from_millis(50), app.stopping.clone())
}

async fn metrics() -> impl IntoResponse {
    let text = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, text)], Vitals::now().metrics())
}
