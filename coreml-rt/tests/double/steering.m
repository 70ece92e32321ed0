// What tests observe of the double, and provoke.
//
// Owns: the counters, the failures, the systems that are acted by hiding selectors. Must not: know a class of Core ML.
// Flow: tests/apple/double.rs calls the double_* functions; the other files count and ask here.

#import "double.h"
#include <Block.h>
#include <objc/runtime.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

int running, most_running, backings_used, predicting, most_predicting, last_low_precision;
NSInteger last_strategy = -1, last_frequency = -1;
int live, compilations, loads, late_changes, overlaps, failure, old_system, pending, locks, surfaces;
NSInteger last_units = -1;
char last_path[4096];

void double_count(int by) { ADD(live, by); }
// What a test observes.
int double_live(void) { return live; }
int double_pending(void) { return pending; }
int double_surfaces(void) { return surfaces; }
int double_locks(void) { return locks; }
int double_compilations(void) { return compilations; }
int double_loads(void) { return loads; }
int double_late_changes(void) { return late_changes; }
int double_overlaps(void) { return overlaps; }
long double_last_units(void) { return last_units; }
int double_most_predicting(void) { return most_predicting; }
void double_reset_most(void) { most_predicting = 0; }
int double_last_low_precision(void) { return last_low_precision; }
long double_last_strategy(void) { return last_strategy; }
long double_last_frequency(void) { return last_frequency; }
const char *double_last_path(void) { return last_path; }
int double_backings_used(void) { return backings_used; }
int double_most_running(void) { return most_running; }
// What a test provokes.
void double_fail(int kind) { failure = kind; }
void double_old_system(int old) { old_system = old; }

// Selectors that an old system lacks: those above macOS 12.2, and of macOS 15.
static const char *const since_12_3[] = {
    "getBytesWithHandler:", "getMutableBytesWithHandler:", "setModelDisplayName:", "setOutputBackings:",
    "setOptimizationHints:", "initWithPixelBuffer:shape:", "predictionFromFeatures:options:completionHandler:",
    "modelAssetWithSpecificationData:error:", "loadContentsOfURL:configuration:completionHandler:", NULL};
static const char *const since_15[] = {
    "newState", "setFunctionName:", "setSpecializationStrategy:",
    "modelAssetWithSpecificationData:blobMapping:error:", NULL};

// Whether the system that a test asked for lacks a method: 1 is macOS 12, 2 is macOS 14.4.
BOOL hidden(SEL selector) {
    const char *name = sel_getName(selector);
    for (int at = 0; old_system && since_15[at]; at++)
        if (!strcmp(name, since_15[at])) return YES;
    for (int at = 0; old_system == 1 && since_12_3[at]; at++)
        if (!strcmp(name, since_12_3[at])) return YES;
    return NO;
}

NSString *const MLModelErrorDomain = @"com.apple.CoreML";

NSError *error_of(NSInteger code, NSString *text, NSError *under) {
    NSMutableDictionary *info = [NSMutableDictionary dictionaryWithObject:text forKey:NSLocalizedDescriptionKey];
    if (under) [info setObject:under forKey:NSUnderlyingErrorKey];
    return [NSError errorWithDomain:MLModelErrorDomain code:code userInfo:info];
}

// Keeps the largest number.
void raise_to(int *most, int now) {
    for (int old = *most; now > old && !__sync_bool_compare_and_swap(most, old, now);) old = *most;
}

// What a thread needs to run a block: Debian's runtime for blocks does not keep objects alive that a block uses.
typedef struct {
    void (^work)(void);
    id first, second;
    void *handler;
} Job;

static void *run_job(void *argument) {
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    Job *job = argument;
    job->work();
    Block_release(job->work);
    Block_release(job->handler);
    [job->first release];
    [job->second release];
    free(job);
    [pool release];
    ADD(pending, -1);
    return NULL;
}

// Runs a block on a thread of its own.
void in_thread(void (^work)(void), id first, id second, void *handler) {
    Job *job = malloc(sizeof(Job));
    *job = (Job){Block_copy(work), [first retain], [second retain], _Block_copy(handler)};
    ADD(pending, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, run_job, job);
    pthread_detach(thread);
}
