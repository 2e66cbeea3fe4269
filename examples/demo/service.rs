//! The service: an axum router with a bounded cache, a connection pool and JSON, and a layer that measures each
//! request (and leaks).

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::metrics::MetricsCache;
use crate::pool::Pool;

/// How many rendered products the cache keeps.
pub(crate) const CACHED_PRODUCTS: u64 = 2_000;
/// How many products there are.
pub(crate) const PRODUCTS: u32 = 10_000;

/// What the handlers share.
pub(crate) struct Shop {
    pub(crate) metrics: MetricsCache,
    pages: moka::sync::Cache<u32, Bytes>,
    pool: Pool,
}

impl Shop {
    pub(crate) fn new(pool: Pool) -> Shop {
        Shop {
            metrics: MetricsCache::default(),
            pages: moka::sync::Cache::new(CACHED_PRODUCTS),
            pool,
        }
    }
}

/// The routes.
pub(crate) fn router(shop: Arc<Shop>) -> axum::Router {
    axum::Router::new()
        .route("/product/{id}", get(product))
        .route("/order", post(order))
        .layer(axum::middleware::from_fn_with_state(shop.clone(), measure))
        .with_state(shop)
}

/// Measures every request and hands the result to the metrics.
async fn measure(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or("-")
        .to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    shop.metrics
        .record(&id, &[started.elapsed().as_micros() as u64]);
    response
}

/// A product's page, from the cache if it is there.
async fn product(State(shop): State<Arc<Shop>>, Path(id): Path<u32>) -> impl IntoResponse {
    let page = shop
        .pages
        .get_with(id % PRODUCTS, || Bytes::from(render_product(id % PRODUCTS)));
    ([(header::CONTENT_TYPE, "application/json")], page)
}

fn render_product(id: u32) -> Vec<u8> {
    let reviews: Vec<Value> = (0..20)
        .map(|n| json!({ "by": format!("customer {}", id * 31 + n), "stars": (id + n) % 6, "text": "as described, came in time" }))
        .collect();
    let product = json!({ "id": id, "name": format!("product {id}"), "price_cents": 199 + id * 7 % 5_000, "reviews": reviews });
    product.to_string().into_bytes()
}

/// Takes an order: parses it, asks the stock service for its first item, answers with the total.
async fn order(
    State(shop): State<Arc<Shop>>,
    body: Bytes,
) -> Result<axum::Json<Value>, StatusCode> {
    let order: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let items = order["items"].as_array().ok_or(StatusCode::BAD_REQUEST)?;
    let first = items
        .first()
        .and_then(|item| item["product"].as_u64())
        .ok_or(StatusCode::BAD_REQUEST)?;
    let stock = shop
        .pool
        .stock(first as u32)
        .await
        .map_err(|_| StatusCode::BAD_GATEWAY)?;
    let total: u64 = items
        .iter()
        .filter_map(|item| Some(item["count"].as_u64()? * item["price_cents"].as_u64()?))
        .sum();
    Ok(axum::Json(
        json!({ "total_cents": total, "items": items.len(), "in_stock": stock > 0 }),
    ))
}
