//! A model that Core ML has loaded.
//!
//! Owns: the model, its lock, and synchronous predictions. Must not: know typed tensors.
//! Flow: `backend.rs` → here → `loading.rs` at load; `features.rs`, `results.rs` at each
//! prediction; `asynchronous.rs` has the predictions that nobody waits for.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::asynchronous::Request;
use super::backing::{Backings, Refused};
use super::failure::{CoreMlError, guard, translate};
use super::features::{Features, Sizes};
use super::gate::{Gate, Pass};
use super::loading::Source;
use super::plan;
use super::results::{CoreMlResults, Value, read};
use super::state::State;
use crate::backend::Awaited;
use crate::error::Error;
use crate::options::LoadOptions;
use crate::plan::ComputePlan;
use crate::search::Found;
use crate::slot::{InputRef, OutputSlot, Results};
use coreml_spec::{Function, Package};
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_core_ml::{MLArrayBatchProvider, MLBatchProvider, MLFeatureProvider, MLModel};
use objc2_foundation::NSArray;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A loaded model.
///
/// Apple: "Use an MLModel instance on one thread or one dispatch queue at a time." So it stands
/// behind a lock.
pub(crate) struct Session {
    /// What never changes.
    features: Arc<Features>,
    /// What one thread at a time uses.
    loaded: Mutex<Loaded>,
    /// Which outputs Core ML does not write where the caller has them.
    refused: Arc<Refused>,
    /// Whether predictions wait for those of other models.
    waits: bool,
    /// How it was loaded, to ask for a plan.
    origin: Origin,
}

/// Passed by the predictions of models that run one at a time.
static GATE: Gate = Gate::new();

/// What a model was loaded from, and how.
struct Origin {
    /// The package.
    found: Found,
    /// The function, of a package that has several.
    function: Option<String>,
    /// The options.
    options: LoadOptions,
}

/// The model, and memory that each prediction uses again.
struct Loaded {
    /// The model.
    model: Retained<MLModel>,
    /// Sizes of the last inputs.
    sizes: Vec<Sizes>,
    /// Outputs of the running prediction.
    values: Vec<Value>,
}

// SAFETY: none of these objects belongs to a thread: Apple allows an MLModel on any thread as long
// as it is one at a time; arrays of numbers are immutable; the values of outputs are this session's
// alone. `Session` gives them out only under its lock, and to one thread at a time is all that
// `Send` claims.
unsafe impl Send for Loaded {}

impl Session {
    /// Loads a function of a model.
    ///
    /// Called by: [`crate::model::Model`], as the [`crate::backend::Backend`] of Apple's systems.
    /// Parameters: `found` — the package or the compiled model, which Core ML reads by itself;
    /// `function` — one of its functions; `is_one_of_several` — whether there are others.
    pub(crate) fn load(
        name: &str,
        _package: Option<&Package>,
        found: &Found,
        function: &Function,
        is_one_of_several: bool,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let source =
            Source { name, found, function: is_one_of_several.then_some(&*function.name), options };
        let load = || Ok((source.load()?, Features::of(name, function)));
        let (model, features) = guard(load).flatten().map_err(|error| translate(name, error))?;
        let loaded = Mutex::new(Loaded { model, sizes: Vec::new(), values: Vec::new() });
        let origin = Origin {
            found: found.clone(),
            function: source.function.map(str::to_owned),
            options: options.clone(),
        };
        let (features, refused) = (Arc::new(features), Arc::default());
        Ok(Self { features, loaded, refused, waits: options.waits_for_other_models(), origin })
    }

    /// Returns what runs the model.
    pub(crate) fn name(&self) -> &str {
        "Core ML"
    }

    /// Returns states of zeros.
    pub(crate) fn new_state(&self) -> Result<State, Error> {
        let loaded = self.lock();
        guard(|| State::of(&loaded.model, &self.features.function))
            .flatten()
            .map_err(|error| self.translate(error))
    }

    /// Runs the model once.
    ///
    /// Parameters: `state` — for a model that has states; `inputs`, `outputs` — in the order of the
    /// function's features.
    pub(crate) fn predict(
        &self,
        state: Option<&mut State>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        let _gate = self.gate();
        let mut loaded = self.lock();
        let mut backings = Backings::default();
        let run = guard(|| {
            loaded
                .run(&self.features, state, inputs, outputs, (&mut backings, &self.refused))
                .map_err(|error| self.translate(error))?;
            CoreMlResults { features: &self.features, values: &loaded.values }
                .copy_all(&mut backings, outputs)
        });
        let run = self.cleared(&mut loaded, run);
        // After the pool is gone, and with it what Core ML may have held of the prediction.
        if guard(|| backings.give_back(outputs)).is_err() {
            return run.and(Err(self.translate(CoreMlError::Unexpected(
                "an output could not be given back".to_owned(),
            ))));
        }
        run
    }

    /// Runs the model once per element, as one request.
    ///
    /// Parameters: `batch` — inputs, each in the order of the function's features; `take` — is
    /// given the results, in order.
    pub(crate) fn predict_batch(
        &self,
        batch: &[&[InputRef<'_>]],
        take: &mut dyn FnMut(&dyn Results) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _gate = self.gate();
        let mut loaded = self.lock();
        let run = guard(|| {
            let results =
                loaded.run_batch(&self.features, batch).map_err(|error| self.translate(error))?;
            for index in 0..batch.len() {
                // SAFETY: the results are as many as the batch has elements, which was checked.
                let results = unsafe { results.featuresAtIndex(index.cast_signed()) };
                read(&self.features, &results, &mut loaded.values)
                    .map_err(|error| self.translate(error))?;
                take(&CoreMlResults { features: &self.features, values: &loaded.values })?;
            }
            Ok(())
        });
        self.cleared(&mut loaded, run)
    }

    /// Asks on what device each operation would run.
    pub(crate) fn compute_plan(&self) -> Result<ComputePlan, Error> {
        let Origin { found, function, options } = &self.origin;
        let source =
            Source { name: &self.features.model, found, function: function.as_deref(), options };
        guard(|| plan::of(&source)).flatten().map_err(|error| self.translate(error))
    }

    /// Waits until no other model predicts, if it was loaded to.
    fn gate(&self) -> Option<Pass> {
        self.waits.then(|| GATE.enter())
    }

    /// Runs the model once, without waiting for it.
    ///
    /// Parameters: as for [`Self::predict`]; `awaited` — is answered once, here or on a thread of
    /// Core ML's.
    pub(crate) fn predict_async(
        &self,
        state: Option<State>,
        inputs: &[InputRef<'_>],
        awaited: Box<dyn Awaited>,
    ) {
        let (features, refused) = (Arc::clone(&self.features), Arc::clone(&self.refused));
        let request = {
            let Loaded { model, sizes, .. } = &mut *self.lock();
            Request::new(model, features, refused, awaited, state, |features, state| {
                features.provider(inputs, state, sizes)
            })
        };
        match request {
            Some(request) if self.waits => GATE.let_in(move |pass| request.start(Some(pass))),
            Some(request) => request.start(None),
            None => {}
        }
    }

    /// Locks the model. After a panic the scratch holds values of an earlier prediction, which the
    /// next one overwrites.
    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the values of a prediction, in a pool of its own: letting go of an array may
    /// autorelease others.
    fn cleared(
        &self,
        loaded: &mut Loaded,
        run: Result<Result<(), Error>, CoreMlError>,
    ) -> Result<(), Error> {
        let cleared = guard(|| loaded.values.iter_mut().for_each(Value::clear));
        run.and_then(|run| cleared.map(|()| run)).map_err(|error| self.translate(error))?
    }

    /// Makes an error of the runtime.
    fn translate(&self, error: CoreMlError) -> Error {
        translate(&self.features.model, error)
    }
}

impl Loaded {
    /// Feeds the inputs, predicts, and keeps the values of all outputs.
    fn run(
        &mut self,
        features: &Features,
        state: Option<&mut State>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
        (backings, refused): (&mut Backings, &Refused),
    ) -> Result<(), CoreMlError> {
        let provider = features.provider(inputs, state.as_deref(), &mut self.sizes)?;
        let options = backings.lend(features, outputs, refused)?;
        let (inputs, model) = (ProtocolObject::from_ref(&*provider), &self.model);
        let results = match (state, options) {
            (Some(state), options) => state.predict(model, inputs, options.as_deref())?,
            // SAFETY: the caller holds the lock, so no other thread uses the model.
            (None, None) => unsafe { model.predictionFromFeatures_error(inputs) }?,
            // SAFETY: as above; the backings hold what Core ML writes into.
            (None, Some(options)) => {
                unsafe { model.predictionFromFeatures_options_error(inputs, &options) }?
            }
        };
        read(features, &results, &mut self.values)?;
        backings.compare(&self.values, refused);
        Ok(())
    }

    /// Feeds a batch and predicts.
    fn run_batch(
        &mut self,
        features: &Features,
        batch: &[&[InputRef<'_>]],
    ) -> Result<Retained<ProtocolObject<dyn MLBatchProvider>>, CoreMlError> {
        let mut providers: Vec<Retained<ProtocolObject<dyn MLFeatureProvider>>> =
            Vec::with_capacity(batch.len());
        for inputs in batch {
            providers.push(ProtocolObject::from_retained(features.provider(
                inputs,
                None,
                &mut self.sizes,
            )?));
        }
        let providers = NSArray::from_retained_slice(&providers);
        // SAFETY: an array of feature providers, which the batch keeps alive.
        let batch_provider = unsafe {
            MLArrayBatchProvider::initWithFeatureProviderArray(
                MLArrayBatchProvider::alloc(),
                &providers,
            )
        };
        // SAFETY: the caller holds the lock, so no other thread uses the model.
        let results = unsafe {
            self.model.predictionsFromBatch_error(ProtocolObject::from_ref(&*batch_provider))
        }?;
        // SAFETY: a getter.
        let count = unsafe { results.count() };
        if usize::try_from(count) != Ok(batch.len()) {
            return Err(CoreMlError::Unexpected(format!(
                "{count} results for a batch of {}",
                batch.len()
            )));
        }
        Ok(results)
    }
}
