// Predictions: synchronous, of batches, and on threads of their own.
//
// Owns: inputs that are read again when the prediction is over; backings that are written, refused or kept; who uses a model
// at a time.
// Flow: coreml-rt asks; networks.m or engine.m computes.

#import "double.h"
#include <Block.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

// How long inputs are read after the prediction returned, in microseconds.
enum { LATE = 20000 };

// How long an asynchronous prediction takes at least, in microseconds: long enough for others to start.
enum { ASYNCHRONOUS = 5000 };

static void *let_go(void *object) {
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    while (failure == FailKeepBacking) usleep(LATE);
    [(id)object release];
    [pool release];
    ADD(pending, -1);
    return NULL;
}

// Writes results where the caller offers memory of their shape and type; otherwise they stay where they are.
static NSDictionary *into_backings(NSDictionary *results, NSDictionary *backings) {
    if (!backings || failure == FailBacking) return results;
    NSMutableDictionary *placed = [NSMutableDictionary dictionaryWithDictionary:results];
    NSEnumerator *names = [backings keyEnumerator];
    for (NSString *name; (name = [names nextObject]);) {
        MLMultiArray *backing = [backings objectForKey:name], *array = [[results objectForKey:name] multiArrayValue];
        if (!array || ![array->shape isEqual:backing->shape] || array->type != backing->type) continue;
        for (NSInteger at = 0; at < [array count]; at++) [backing set:at to:[array at:at]];
        [placed setObject:[MLFeatureValue of:backing] forKey:name];
        ADD(backings_used, 1);
        if (failure == FailKeepBacking) {
            ADD(pending, 1);
            pthread_t thread;
            pthread_create(&thread, NULL, let_go, [backing retain]);
            pthread_detach(thread);
        }
    }
    return placed;
}

// Reads inputs again when the prediction is long over, as Core ML's own queues do.
typedef struct {
    NSDictionary *features;
    uint64_t checksum;
} Late;

static uint64_t checksum_of(NSDictionary *features) {
    uint64_t sum = 0;
    NSEnumerator *values = [features objectEnumerator];
    for (MLFeatureValue *feature; (feature = [values nextObject]);) sum += [(MLMultiArray *)feature->value checksum];
    return sum;
}

static void *read_late(void *argument) {
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    Late *late = argument;
    do usleep(LATE);
    while (failure == FailKeepInputs);
    if (checksum_of(late->features) != late->checksum) ADD(late_changes, 1);
    [late->features release];
    free(late);
    [pool release];
    ADD(pending, -1);
    return NULL;
}

static void keep_inputs(NSDictionary *features) {
    Late *late = malloc(sizeof(Late));
    *late = (Late){[features retain], checksum_of(features)};
    ADD(pending, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, read_late, late);
    pthread_detach(thread);
}

// What a thread needs for an asynchronous prediction.
typedef struct {
    MLModel *model;
    MLDictionaryFeatureProvider *inputs;
    MLState *state;
    MLPredictionOptions *options;
    Handler handler;
} Request;

static void *run_request(void *argument) {
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    Request *request = argument;
    raise_to(&most_running, ADD(running, 1));
    raise_to(&most_predicting, ADD(predicting, 1));
    usleep(ASYNCHRONOUS);
    NSError *error = nil;
    id results = [request->model answer:request->inputs with:request->state options:request->options error:&error];
    ADD(predicting, -1);
    ADD(running, -1);
    if (failure != FailSilent) request->handler(results, error);
    Block_release(request->handler);
    [request->inputs release];
    [request->state release];
    [request->options release];
    [request->model release];
    free(request);
    [pool release];
    ADD(pending, -1);
    return NULL;
}

@implementation MLModel (Predictions)
- (id)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs usingState:(MLState *)state error:(NSError **)error {
    return [self predict:inputs with:state options:nil error:error];
}

- (id)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
                  usingState:(MLState *)state
                     options:(MLPredictionOptions *)options
                       error:(NSError **)error {
    return [self predict:inputs with:state options:options error:error];
}

- (id)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs error:(NSError **)error {
    return [self predictionFromFeatures:inputs options:nil error:error];
}

- (id)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
                     options:(MLPredictionOptions *)options
                       error:(NSError **)error {
    if ([network isEqual:@"total"] && keeps_states) {
        if (error) *error = error_of(0, @"a stateful model needs a state", nil);
        return nil;
    }
    return [self predict:inputs with:nil options:options error:error];
}

- (id)predict:(MLDictionaryFeatureProvider *)inputs
         with:(MLState *)state
      options:(MLPredictionOptions *)options
        error:(NSError **)error {
    // Apple: one thread at a time.
    if (ADD(users, 1) > 1) ADD(overlaps, 1);
    raise_to(&most_predicting, ADD(predicting, 1));
    usleep(50);
    @try {
        return [self answer:inputs with:state options:options error:error];
    } @finally {
        ADD(predicting, -1);
        ADD(users, -1);
    }
}

- (id)answer:(MLDictionaryFeatureProvider *)inputs
        with:(MLState *)state
     options:(MLPredictionOptions *)options
       error:(NSError **)error {
    switch (failure) {
        case FailError:
            if (error) *error = error_of(0, @"Unable to compute", error_of(0, @"the device is gone", nil));
            return nil;
        case FailWrongFeature:
            if (error) *error = error_of(1, @"MultiArray shape (1) does not match", nil);
            return nil;
        case FailException: [NSException raise:NSGenericException format:@"the network cannot be planned"];
    }
    keep_inputs(inputs->features);
    NSDictionary *results = [network isEqual:@"total"] ? [self remember:inputs in:state error:error]
                                                       : [self compute:inputs error:error];
    if (!results) return nil;
    if (failure == FailMissingOutput) results = [NSDictionary dictionary];
    results = into_backings(results, options ? options->backings : nil);
    return [[[MLDictionaryFeatureProvider alloc] initWithDictionary:results error:NULL] autorelease];
}

- (id)predictionsFromBatch:(MLArrayBatchProvider *)batch error:(NSError **)error {
    NSMutableArray *results = [NSMutableArray array];
    for (NSInteger at = 0; at < [batch count]; at++) {
        id result = [self predictionFromFeatures:[batch featuresAtIndex:at] error:error];
        if (!result) return nil;
        if (failure != FailMissingOutput) [results addObject:result];
    }
    return [[[MLArrayBatchProvider alloc] initWithFeatureProviderArray:results] autorelease];
}

- (void)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
                       options:(MLPredictionOptions *)options
             completionHandler:(Handler)handler
                         state:(MLState *)state {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    if (failure == FailException) [NSException raise:NSGenericException format:@"the network cannot be planned"];
    Request *request = malloc(sizeof(Request));
    *request = (Request){[self retain], [inputs retain], [state retain], [options retain], Block_copy(handler)};
    ADD(pending, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, run_request, request);
    pthread_detach(thread);
}

- (void)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
                       options:(MLPredictionOptions *)options
             completionHandler:(Handler)handler {
    [self predictionFromFeatures:inputs options:options completionHandler:handler state:nil];
}

- (void)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
                    usingState:(MLState *)state
                       options:(MLPredictionOptions *)options
             completionHandler:(Handler)handler {
    [self predictionFromFeatures:inputs options:options completionHandler:handler state:state];
}
@end
