//! Rows that are no frames: threads, labels, ages.
#![forbid(unsafe_code)]

use super::counter::Counter;
use super::{Measure, Value};
use crate::profile::{Cohort, LabelValue, Sample};
use crate::view::key::Key;
use crate::view::{age, labels};
use crate::{Error, Result};

impl Counter<'_> {
    pub(super) fn by_thread(
        &mut self,
        sample: &Sample,
        value: &Value,
        measure: Measure,
        born: u64,
    ) -> Result<()> {
        let label = sample.labels.iter().find(|label| label.key == "thread");
        if let Some(label) = label {
            let name = match &label.value {
                LabelValue::Str(name) => name.clone(),
                LabelValue::Num(number, _) => number.to_string(),
            };
            let row = self.row(Key::Name(name));
            self.rows[row].cum.add(measure);
            self.blame(row, sample, measure);
            return Ok(());
        }
        let cohorts = sample.detail.as_deref().map(|detail| &detail.cohorts);
        let (Some(cohorts), true) = (cohorts, value.facet().is_live()) else {
            return Err(Error::input(format!(
                "the profile does not say which threads its {} comes from; threads are known for inuse_objects and \
                 inuse_space of heapsite's JSON dumps, and for samples with a `thread` label",
                value.kind()
            )));
        };
        for cohort in cohorts.iter().filter(|cohort| cohort.to_nanos <= born) {
            let threads = self.profile.heap.as_deref().map(|heap| &heap.threads);
            let name = threads
                .and_then(|threads| threads.get(cohort.thread as usize))
                .cloned();
            let name = name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| format!("thread {}", cohort.thread));
            let row = self.row(Key::Name(name));
            let measure = value.of_tally(&cohort.live);
            self.rows[row].flat.add(measure);
            self.rows[row].cum.add(measure);
        }
        Ok(())
    }

    /// Numeric labels count as well, such as the block sizes of Go's profiles.
    pub(super) fn by_label(&mut self, sample: &Sample, measure: Measure) {
        let row = self.row(Key::Name(labels::joined(&sample.labels)));
        self.rows[row].cum.add(measure);
        self.blame(row, sample, measure);
    }

    /// Cohorts by the age of their middle.
    pub(super) fn by_age(&mut self, sample: &Sample, value: &Value, born: u64) -> Result<()> {
        let cohorts = sample.detail.as_deref().map(|detail| &detail.cohorts);
        let heap = self.profile.heap.as_deref();
        let (Some(cohorts), Some(heap), true) = (cohorts, heap, value.facet().is_live()) else {
            return Err(Error::input(format!(
                "the profile does not say how old its {} is; ages are known for inuse_objects and inuse_space of heapsite's \
                 JSON dumps",
                value.kind()
            )));
        };
        let middle = |cohort: &Cohort| cohort.from_nanos / 2 + cohort.to_nanos / 2;
        for cohort in cohorts.iter().filter(|cohort| cohort.to_nanos <= born) {
            let age = heap.uptime_nanos.saturating_sub(middle(cohort));
            let row = self.row(Key::Name(age::name(age).to_owned()));
            let measure = value.of_tally(&cohort.live);
            self.rows[row].flat.add(measure);
            self.rows[row].cum.add(measure);
        }
        Ok(())
    }
}
