// A double of Core ML: Apple's classes with its rules of memory, threads and errors, and the networks that it can compute.
//
// Owns: what the tests can observe (objects alive, compilations, late reads of inputs, concurrent use) and provoke (errors,
// exceptions, an old system). Must not: be nicer than Core ML; rows are padded, inputs are read after the prediction.
// Flow: tests/apple.rs steers it through the double_* functions; coreml-rt sees only the classes.
//
// A model is known by the names in its specification; the networks are those of tests/data/make.py. engine.m computes others.

#import "double.h"
#include <Block.h>
#include <objc/runtime.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { Float16 = 0x10010, Float32 = 0x10020, Float64 = 0x10040, Int32 = 0x20020, Int8 = 0x20008 };
enum { FailNothing, FailError, FailWrongFeature, FailException, FailCompile, FailLoad, FailMissingOutput, FailType,
       FailSilent, FailBacking, FailKeepBacking };

// How many elements stand between two rows of an output, beyond the row.
enum { PADDING = 5 };
// How long inputs are read after the prediction returned, in microseconds.
enum { LATE = 20000 };

// How long an asynchronous prediction takes at least, in microseconds: long enough for others to start.
enum { ASYNCHRONOUS = 5000 };

static int running, most_running, backings_used, predicting, most_predicting, last_low_precision;
static NSInteger last_strategy = -1, last_frequency = -1;
static int live, compilations, loads, late_changes, overlaps, failure, old_system, pending, locks;
static NSInteger last_units = -1;

#define ADD(counter, by) __sync_add_and_fetch(&(counter), by)

void double_count(int by) { ADD(live, by); }
// What a test observes.
int double_live(void) { return live; }
int double_pending(void) { return pending; }
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
int double_backings_used(void) { return backings_used; }
int double_most_running(void) { return most_running; }
// What a test provokes.
void double_fail(int kind) { failure = kind; }
void double_old_system(int old) { old_system = old; }

// Selectors that an old system lacks: those above macOS 12.2, and of macOS 15.
static const char *const since_12_3[] = {
    "getBytesWithHandler:", "getMutableBytesWithHandler:", "setModelDisplayName:", "setOutputBackings:",
    "setOptimizationHints:", "predictionFromFeatures:options:completionHandler:",
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

static NSError *error_of(NSInteger code, NSString *text, NSError *under) {
    NSMutableDictionary *info = [NSMutableDictionary dictionaryWithObject:text forKey:NSLocalizedDescriptionKey];
    if (under) [info setObject:under forKey:NSUnderlyingErrorKey];
    return [NSError errorWithDomain:MLModelErrorDomain code:code userInfo:info];
}

// Keeps the largest number.
static void raise_to(int *most, int now) {
    for (int old = *most; now > old && !__sync_bool_compare_and_swap(most, old, now);) old = *most;
}

// Counts the objects of a class that are alive.
#define COUNTED \
    -(id)init { if ((self = [super init])) ADD(live, 1); return self; }
#define RELEASING(...) \
    -(void)dealloc { __VA_ARGS__; ADD(live, -1); [super dealloc]; }

// MARK: arrays


static size_t size_of_type(NSInteger type) { return (type & 0xff) / 8; }

static size_t number_at(NSArray *numbers, NSUInteger at) { return [[numbers objectAtIndex:at] unsignedIntegerValue]; }

@implementation MLMultiArray
COUNTED
RELEASING([self letGo]; [shape release]; [strides release])
- (void)letGo {
    if (deallocator) {
        deallocator(memory);
        Block_release(deallocator);
    } else {
        memset(memory, 0xEE, bytes);
        free(memory);
    }
}

// Rows are `padding` elements longer than they need to be.
- (id)initWithShape:(NSArray *)sizes type:(NSInteger)data_type padding:(size_t)padding {
    if (!(self = [self init])) return nil;
    NSMutableArray *steps = [NSMutableArray array];
    size_t step = 1;
    for (NSInteger at = (NSInteger)[sizes count] - 1; at >= 0; at--) {
        [steps insertObject:[NSNumber numberWithUnsignedInteger:step] atIndex:0];
        step *= number_at(sizes, at);
        if (at == (NSInteger)[sizes count] - 1 && at > 0) step += padding;
    }
    type = data_type;
    bytes = step * size_of_type(type);
    memory = malloc(bytes ? bytes : 1);
    memset(memory, 0xAB, bytes); // never zero: what is not written must show
    shape = [sizes copy];
    strides = [steps copy];
    return self;
}

- (id)initWithShape:(NSArray *)sizes dataType:(NSInteger)data_type error:(NSError **)error {
    if ([sizes count] > 5) {
        [self release];
        [NSException raise:NSInvalidArgumentException format:@"rank %d is not supported", (int)[sizes count]];
    }
    if ([sizes count] == 0) {
        if (error) *error = error_of(0, @"an empty shape", nil);
        [[self init] release];
        return nil;
    }
    return [self initWithShape:sizes type:data_type padding:0];
}

- (id)initWithDataPointer:(void *)pointer
                    shape:(NSArray *)sizes
                 dataType:(NSInteger)data_type
                  strides:(NSArray *)steps
              deallocator:(void (^)(void *))release
                    error:(NSError **)error {
    (void)error;
    if (!(self = [self init])) return nil;
    type = data_type;
    shape = [sizes copy];
    strides = [steps copy];
    memory = pointer;
    bytes = [self count] * size_of_type(type);
    deallocator = Block_copy(release);
    return self;
}

- (NSInteger)dataType { return failure == FailType ? Float64 : type; }
- (NSArray *)shape { return shape; }
- (NSArray *)strides { return strides; }
- (void *)dataPointer { return memory; }

- (NSInteger)count {
    NSInteger count = 1;
    for (NSUInteger at = 0; at < [shape count]; at++) count *= number_at(shape, at);
    return count;
}

- (BOOL)respondsToSelector:(SEL)selector {
    return hidden(selector) ? NO : [super respondsToSelector:selector];
}

- (void)getBytesWithHandler:(void (^)(const void *, NSInteger))handler {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    // As a pixel buffer would: the pointer is good inside the handler only.
    uint8_t *shown = malloc(bytes);
    memcpy(shown, memory, bytes);
    handler(shown, bytes);
    memset(shown, 0xEE, bytes);
    free(shown);
}

- (void)getMutableBytesWithHandler:(void (^)(void *, NSInteger, NSArray *))handler {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    handler(memory, bytes, strides);
}

// Position of an element that is counted in row-major order.
- (size_t)offsetOf:(size_t)element {
    size_t offset = 0;
    for (NSInteger at = (NSInteger)[shape count] - 1; at >= 0; at--) {
        size_t size = number_at(shape, at);
        offset += element % size * number_at(strides, at);
        element /= size;
    }
    return offset;
}

- (double)at:(size_t)element {
    uint8_t *from = memory + [self offsetOf:element] * size_of_type(type);
    switch (type) {
        case Float16: return *(_Float16 *)from;
        case Float32: return *(float *)from;
        case Float64: return *(double *)from;
        case Int32: return *(int32_t *)from;
        default: return *(int8_t *)from;
    }
}

- (void)set:(size_t)element to:(double)value {
    uint8_t *into = memory + [self offsetOf:element] * size_of_type(type);
    switch (type) {
        case Float16: *(_Float16 *)into = (_Float16)value; break;
        case Float32: *(float *)into = (float)value; break;
        case Float64: *(double *)into = value; break;
        case Int32: *(int32_t *)into = (int32_t)value; break;
        default: *(int8_t *)into = (int8_t)value;
    }
}

- (uint64_t)checksum {
    uint64_t sum = 14695981039346656037u;
    for (size_t at = 0; at < bytes; at++) sum = (sum ^ memory[at]) * 1099511628211u;
    return sum;
}
@end

// MARK: images

enum { BGRA = 0x42475241, Gray8 = 0x4C303038, GrayHalf = 0x4C303068 };
// How many bytes stand between two rows of an image, beyond the row.
enum { ROW_PADDING = 20 };

@interface CVPixelBuffer : NSObject {
@public
    uint8_t *memory;
    size_t width, height, stride;
    uint32_t format;
    int locked;
}
@end

@implementation CVPixelBuffer
COUNTED
RELEASING(memset(memory, 0xEE, stride * height); free(memory); ADD(locks, locked ? 1000 : 0))
- (uint64_t)checksum {
    uint64_t sum = 14695981039346656037u;
    for (size_t at = 0; at < stride * height; at++) sum = (sum ^ memory[at]) * 1099511628211u;
    return sum;
}
// A sample of a pixel: blue, green, red of a color image.
- (double)sample:(int)channel ofPixel:(size_t)pixel {
    uint8_t *row = memory + pixel / width * stride;
    if (format == GrayHalf) return ((_Float16 *)row)[pixel % width];
    return row[format == BGRA ? pixel % width * 4 + channel : pixel % width];
}
@end

int CVPixelBufferCreate(void *allocator, size_t width, size_t height, uint32_t format, void *attributes,
                        CVPixelBuffer **out) {
    (void)allocator, (void)attributes;
    if (!width || !height) return -6680; // kCVReturnInvalidSize
    CVPixelBuffer *buffer = [[CVPixelBuffer alloc] init];
    buffer->width = width, buffer->height = height, buffer->format = format;
    buffer->stride = width * (format == BGRA ? 4 : format == GrayHalf ? 2 : 1) + ROW_PADDING;
    buffer->memory = malloc(buffer->stride * height);
    memset(buffer->memory, 0xAB, buffer->stride * height);
    *out = buffer;
    return 0;
}

int CVPixelBufferLockBaseAddress(CVPixelBuffer *buffer, uint64_t flags) {
    (void)flags;
    ADD(locks, 1);
    buffer->locked++;
    return 0;
}

int CVPixelBufferUnlockBaseAddress(CVPixelBuffer *buffer, uint64_t flags) {
    (void)flags;
    ADD(locks, -1);
    buffer->locked--;
    return 0;
}

void *CVPixelBufferGetBaseAddress(CVPixelBuffer *buffer) { return buffer->locked ? buffer->memory : NULL; }
size_t CVPixelBufferGetBytesPerRow(CVPixelBuffer *buffer) { return buffer->stride; }
size_t CVPixelBufferGetWidth(CVPixelBuffer *buffer) { return buffer->width; }
size_t CVPixelBufferGetHeight(CVPixelBuffer *buffer) { return buffer->height; }
uint32_t CVPixelBufferGetPixelFormatType(CVPixelBuffer *buffer) { return buffer->format; }

// Core Foundation counts references of the same objects.
id CFRetain(id object) { return [object retain]; }
void CFRelease(id object) { [object release]; }

// MARK: states

@interface MLState : NSObject {
@public
    NSMutableDictionary *arrays;
}
@end

@implementation MLState
COUNTED
RELEASING([arrays release])
- (void)getMultiArrayForStateNamed:(NSString *)name handler:(void (^)(MLMultiArray *))handler {
    MLMultiArray *array = [arrays objectForKey:name];
    if (!array) [NSException raise:NSInvalidArgumentException format:@"there is no state %@", name];
    handler(array);
}
@end

// MARK: features


@implementation MLFeatureValue
COUNTED
RELEASING([value release])
+ (id)of:(id)value {
    MLFeatureValue *feature = [[[self alloc] init] autorelease];
    feature->value = [value retain];
    return feature;
}
+ (id)featureValueWithMultiArray:(MLMultiArray *)array { return [self of:array]; }
+ (id)featureValueWithPixelBuffer:(CVPixelBuffer *)buffer { return [self of:buffer]; }
- (id)copyWithZone:(NSZone *)zone { (void)zone; return [self retain]; }
// Autoreleased, as getters of Apple's may be: without a pool they stay.
- (id)kept { return [[value retain] autorelease]; }
- (MLMultiArray *)multiArrayValue { return [value isKindOfClass:[MLMultiArray class]] ? [self kept] : nil; }
- (CVPixelBuffer *)imageBufferValue { return [value isKindOfClass:[CVPixelBuffer class]] ? [self kept] : nil; }
- (NSString *)stringValue { return [value isKindOfClass:[NSString class]] ? [self kept] : @""; }
- (int64_t)int64Value { return [value isKindOfClass:[NSNumber class]] ? [value longLongValue] : 0; }
- (NSDictionary *)dictionaryValue {
    return [value isKindOfClass:[NSDictionary class]] ? [self kept] : [NSDictionary dictionary];
}
@end

@interface MLDictionaryFeatureProvider : NSObject {
@public
    NSDictionary *features;
}
@end

@implementation MLDictionaryFeatureProvider
COUNTED
RELEASING([features release])
- (id)initWithDictionary:(NSDictionary *)dictionary error:(NSError **)error {
    (void)error;
    if ((self = [self init])) features = [dictionary copy];
    return self;
}
- (NSSet *)featureNames { return [NSSet setWithArray:[features allKeys]]; }
- (MLFeatureValue *)featureValueForName:(NSString *)name { return [features objectForKey:name]; }
@end

// MARK: models

@interface MLOptimizationHints : NSObject <NSCopying> {
@public
    NSInteger strategy, frequency;
}
@end

@implementation MLOptimizationHints
COUNTED
RELEASING()
- (id)copyWithZone:(NSZone *)zone {
    MLOptimizationHints *copy = [[MLOptimizationHints allocWithZone:zone] init];
    copy->strategy = strategy;
    copy->frequency = frequency;
    return copy;
}
- (void)setSpecializationStrategy:(NSInteger)value { strategy = value; }
- (void)setReshapeFrequency:(NSInteger)value { frequency = value; }
- (BOOL)respondsToSelector:(SEL)selector {
    return hidden(selector) ? NO : [super respondsToSelector:selector];
}
@end

@interface MLModelConfiguration : NSObject {
@public
    NSInteger units;
    NSString *displayName, *functionName;
    MLOptimizationHints *hints;
    BOOL low_precision;
}
@end

@implementation MLModelConfiguration
COUNTED
RELEASING([displayName release]; [functionName release]; [hints release])
- (void)setComputeUnits:(NSInteger)value { units = value; }
- (void)setAllowLowPrecisionAccumulationOnGPU:(BOOL)value { low_precision = value; }
- (BOOL)respondsToSelector:(SEL)selector {
    return hidden(selector) ? NO : [super respondsToSelector:selector];
}
- (void)setModelDisplayName:(NSString *)name {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    [displayName release];
    displayName = [name copy];
}
- (void)setFunctionName:(NSString *)name {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    [functionName release];
    functionName = [name copy];
}
- (MLOptimizationHints *)optimizationHints {
    return [(hints ? [hints copy] : [MLOptimizationHints new]) autorelease];
}
- (void)setOptimizationHints:(MLOptimizationHints *)value {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    [hints release];
    hints = [value copy];
}
@end

@interface MLPredictionOptions : NSObject {
@public
    NSDictionary *backings;
}
@end

@implementation MLPredictionOptions
COUNTED
RELEASING([backings release])
- (void)setOutputBackings:(NSDictionary *)arrays {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    [backings release];
    backings = [arrays copy];
}
- (BOOL)respondsToSelector:(SEL)selector {
    return hidden(selector) ? NO : [super respondsToSelector:selector];
}
@end

static void *let_go(void *object) {
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    usleep(LATE);
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

@interface MLArrayBatchProvider : NSObject {
@public
    NSArray *array;
}
@end

@implementation MLArrayBatchProvider
COUNTED
RELEASING([array release])
- (id)initWithFeatureProviderArray:(NSArray *)providers {
    if ((self = [self init])) array = [providers copy];
    return self;
}
- (NSInteger)count { return [array count]; }
- (MLDictionaryFeatureProvider *)featuresAtIndex:(NSInteger)index { return [array objectAtIndex:index]; }
@end

typedef void (^Handler)(MLDictionaryFeatureProvider *, NSError *);

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
static void in_thread(void (^work)(void), id first, id second, void *handler) {
    Job *job = malloc(sizeof(Job));
    *job = (Job){Block_copy(work), [first retain], [second retain], _Block_copy(handler)};
    ADD(pending, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, run_job, job);
    pthread_detach(thread);
}

@interface MLModelAsset : NSObject {
@public
    NSData *specification;
}
@end

@implementation MLModelAsset
COUNTED
RELEASING([specification release])
+ (id)modelAssetWithSpecificationData:(NSData *)data error:(NSError **)error {
    return [self modelAssetWithSpecificationData:data blobMapping:[NSDictionary dictionary] error:error];
}
+ (id)modelAssetWithSpecificationData:(NSData *)data blobMapping:(NSDictionary *)blobs error:(NSError **)error {
    const char *name = "@model_path/weights/weight.bin";
    NSURL *url = [NSURL URLWithString:[NSString stringWithUTF8String:name]];
    if (memmem([data bytes], [data length], name, strlen(name)) && [[blobs objectForKey:url] length] == 0) {
        if (error) *error = error_of(0, @"the blob mapping lacks @model_path/weights/weight.bin", nil);
        return nil;
    }
    MLModelAsset *asset = [[[self alloc] init] autorelease];
    asset->specification = [data copy];
    return asset;
}
@end

@interface MLModel : NSObject {
@public
    NSString *network, *function;
    void *engine;
    BOOL blue_first, keeps_states;
    int users;
}
@end

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
    usleep(LATE);
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

static double ramp(size_t at, size_t count) { return 2.0 * at / (count - 1) - 1.0; }

static MLMultiArray *array_of(NSInteger type, NSUInteger rank, const size_t *sizes) {
    NSMutableArray *shape = [NSMutableArray array];
    for (NSUInteger at = 0; at < rank; at++) [shape addObject:[NSNumber numberWithUnsignedInteger:sizes[at]]];
    return [[[MLMultiArray alloc] initWithShape:shape type:type padding:PADDING] autorelease];
}

static void put(NSMutableDictionary *results, NSString *name, id value) {
    [results setObject:[MLFeatureValue of:value] forKey:name];
}

@implementation MLModel
COUNTED
RELEASING([network release]; [function release]; engine_close(engine))

+ (NSURL *)compileModelAtURL:(NSURL *)url error:(NSError **)error {
    NSString *specification = [[url path] stringByAppendingPathComponent:@"Data/com.apple.CoreML/model.mlmodel"];
    NSData *bytes = failure == FailCompile ? nil : [NSData dataWithContentsOfFile:specification];
    if (!bytes) {
        NSString *text = [NSString stringWithFormat:@"Unable to load %@", [url path]];
        if (error) *error = error_of(3, text, error_of(0, @"the file does not exist", nil));
        return nil;
    }
    NSString *folder = [NSString stringWithFormat:@"%@/%@/model.mlmodelc", NSTemporaryDirectory(),
                                                  [[NSProcessInfo processInfo] globallyUniqueString]];
    NSFileManager *files = [NSFileManager defaultManager];
    [files createDirectoryAtPath:folder withIntermediateDirectories:YES attributes:nil error:NULL];
    [bytes writeToFile:[folder stringByAppendingPathComponent:@"specification"] atomically:NO];
    if (getenv("COREML_DOUBLE_ENGINE"))
        [files copyItemAtPath:[url path] toPath:[folder stringByAppendingPathComponent:@"engine.mlpackage"] error:NULL];
    ADD(compilations, 1);
    return [NSURL fileURLWithPath:folder isDirectory:YES];
}

+ (id)modelOf:(NSData *)bytes configuration:(MLModelConfiguration *)configuration error:(NSError **)error {
    if (!bytes || failure == FailLoad) {
        if (error) *error = error_of(3, @"not a compiled model", nil);
        return nil;
    }
    MLModel *model = [[[self alloc] init] autorelease];
    const char *names[] = {"gold fish", "products", "scaled", "doubled", "kept",
                           "negative",  "total",    "grown",  "drawn",   "image"};
    // Width 4, height 2, color space BGR, as the specification writes it.
    model->blue_first = memmem([bytes bytes], [bytes length], "\x08\x04\x10\x02\x18\x1e", 6) != NULL;
    // With an engine every model is computed by it, whatever its names are.
    for (int at = 0; at < 10 && !model->network && !getenv("COREML_DOUBLE_ENGINE"); at++)
        if (memmem([bytes bytes], [bytes length], names[at], strlen(names[at])))
            model->network = [[NSString alloc] initWithUTF8String:names[at]];
    model->keeps_states = memmem([bytes bytes], [bytes length], "total_out", 9) == NULL;
    model->function = [configuration->functionName copy];
    last_units = configuration->units;
    last_low_precision = configuration->low_precision;
    last_strategy = configuration->hints ? configuration->hints->strategy : -1;
    last_frequency = configuration->hints ? configuration->hints->frequency : -1;
    ADD(loads, 1);
    return model;
}

+ (id)modelWithContentsOfURL:(NSURL *)url configuration:(MLModelConfiguration *)configuration error:(NSError **)error {
    NSData *bytes = [NSData dataWithContentsOfFile:[[url path] stringByAppendingPathComponent:@"specification"]];
    MLModel *model = [self modelOf:bytes configuration:configuration error:error];
    if (model && !model->network)
        model->engine = engine_open([[url path] stringByAppendingPathComponent:@"engine.mlpackage"]);
    if (!model || model->network || model->engine) return model;
    if (error) *error = error_of(3, @"the double knows no such network, and has no engine", nil);
    return nil;
}

+ (void)loadModelAsset:(MLModelAsset *)asset
         configuration:(MLModelConfiguration *)configuration
     completionHandler:(void (^)(MLModel *, NSError *))handler {
    in_thread(^{
        NSError *error = nil;
        MLModel *model = [self modelOf:asset->specification configuration:configuration error:&error];
        if (failure != FailSilent) handler(model, error);
    }, asset, configuration, handler);
}

- (MLMultiArray *)input:(NSString *)name of:(MLDictionaryFeatureProvider *)inputs error:(NSError **)error {
    MLMultiArray *array = [[inputs featureValueForName:name] multiArrayValue];
    if (!array && error)
        *error = error_of(1, [NSString stringWithFormat:@"Feature %@ is required but not specified.", name], nil);
    return array;
}

- (NSDictionary *)compute:(MLDictionaryFeatureProvider *)inputs error:(NSError **)error {
    if (engine) {
        NSDictionary *computed = engine_compute(engine, inputs->features);
        if (!computed && error) *error = error_of(0, @"the portable backend did not run the model", nil);
        return computed;
    }
    NSMutableDictionary *results = [NSMutableDictionary dictionary];
    if ([network isEqual:@"gold fish"]) {
        MLMultiArray *x = [self input:@"x" of:inputs error:error];
        if (!x) return nil;
        NSArray *labels = [NSArray arrayWithObjects:@"cat", @"dog", @"gold fish", nil];
        double bias[] = {0.25, -0.5, 0.0}, exps[3], sum = 0;
        for (int row = 0; row < 3; row++) {
            double logit = bias[row];
            for (int column = 0; column < 4; column++) logit += sin(row * 4 + column) * [x at:column];
            sum += exps[row] = exp(logit);
        }
        NSMutableDictionary *probabilities = [NSMutableDictionary dictionary];
        int best = 0;
        for (int row = 0; row < 3; row++) {
            [probabilities setObject:[NSNumber numberWithDouble:exps[row] / sum] forKey:[labels objectAtIndex:row]];
            if (exps[row] > exps[best]) best = row;
        }
        put(results, @"classLabel", [labels objectAtIndex:best]);
        put(results, @"classLabel_probs", probabilities);
    } else if ([network isEqual:@"products"]) {
        MLMultiArray *ids = [self input:@"ids" of:inputs error:error], *rows = [self input:@"rows" of:inputs error:error],
                     *mask = [self input:@"mask" of:inputs error:error], *scale = [self input:@"scale" of:inputs error:error];
        if (!ids || !rows || !mask || !scale) return nil;
        size_t count = [ids count];
        // A function takes its own size alone: bucket_8.
        if (function && ![function isEqual:[NSString stringWithFormat:@"bucket_%zu", count]]) {
            if (error) *error = error_of(1, @"MultiArray shape does not match the shape in the model description", nil);
            return nil;
        }
        MLMultiArray *scaled = array_of(Float32, 2, (size_t[]){1, count}), *mean = array_of(Float32, 1, (size_t[]){1}),
                     *products = array_of(Float32, 2, (size_t[]){count, count});
        double sum = 0, real = 0;
        for (size_t at = 0; at < count; at++) {
            [scaled set:at to:[ids at:at] * [scale at:0]];
            sum += [ids at:at] * [mask at:at];
            real += [mask at:at];
            for (size_t other = 0; other < count; other++) {
                double product = [rows at:2 * at] * [rows at:2 * other] + [rows at:2 * at + 1] * [rows at:2 * other + 1];
                [products set:at * count + other to:product];
            }
        }
        [mean set:0 to:sum / real];
        put(results, @"scaled", scaled);
        put(results, @"products", products);
        put(results, @"mean", mean);
    } else if ([network isEqual:@"scaled"]) {
        MLMultiArray *half = [self input:@"half" of:inputs error:error], *ids = [self input:@"ids" of:inputs error:error],
                     *scale = [self input:@"scale" of:inputs error:error];
        if (!half || !ids || !scale) return nil;
        MLMultiArray *scaled = array_of(Float16, 2, (size_t[]){2, 3}), *doubled = array_of(Int32, 1, (size_t[]){4}),
                     *sums = array_of(Float32, 1, (size_t[]){2});
        for (int row = 0; row < 2; row++) {
            double sum = 0;
            for (int column = 0; column < 3; column++) {
                size_t at = row * 3 + column;
                [scaled set:at to:[half at:at] * [scale at:0]];
                sum += [scaled at:at];
            }
            [sums set:row to:sum];
        }
        for (int at = 0; at < 4; at++) [doubled set:at to:2 * [ids at:at]];
        put(results, @"scaled", scaled);
        put(results, @"doubled", doubled);
        put(results, @"sums", sums);
    } else if ([network isEqual:@"doubled"]) {
        MLMultiArray *ids = [self input:@"ids" of:inputs error:error];
        if (!ids) return nil;
        size_t count = [ids count];
        MLMultiArray *doubled = array_of(Float32, 2, (size_t[]){1, count}), *sums = array_of(Float32, 1, (size_t[]){1});
        double sum = 0;
        for (size_t at = 0; at < count; at++) {
            [doubled set:at to:2 * [ids at:at]];
            sum += [ids at:at];
        }
        [sums set:0 to:sum];
        put(results, @"doubled", doubled);
        put(results, @"sum", sums);
    } else if ([network isEqual:@"kept"]) {
        MLMultiArray *ids = [self input:@"ids" of:inputs error:error], *mask = [self input:@"mask" of:inputs error:error];
        if (!ids || !mask) return nil;
        // Broadcast, as Core ML does: whoever feeds unequal sizes gets a result.
        size_t lengths[] = {[ids count], [mask count]}, count = lengths[lengths[0] < lengths[1]];
        MLMultiArray *kept = array_of(Float32, 2, (size_t[]){1, count}), *sums = array_of(Float32, 1, (size_t[]){1});
        double sum = 0;
        for (size_t at = 0; at < count; at++) {
            [kept set:at to:[ids at:lengths[0] == 1 ? 0 : at] * [mask at:lengths[1] == 1 ? 0 : at]];
            sum += [kept at:at];
        }
        [sums set:0 to:sum];
        put(results, @"kept", kept);
        put(results, @"sum", sums);
    } else if ([network isEqual:@"grown"]) {
        MLMultiArray *wide = [self input:@"wide" of:inputs error:error];
        if (!wide) return nil;
        MLMultiArray *grown = array_of(Float32, 2, (size_t[]){64, 128});
        for (NSInteger at = 0; at < [wide count]; at++) [grown set:at to:2 * [wide at:at]];
        put(results, @"grown", grown);
    } else if ([network isEqual:@"negative"]) {
        CVPixelBuffer *picture = [[inputs featureValueForName:@"picture"] imageBufferValue], *negative;
        if (!picture || picture->format != BGRA) return nil;
        CVPixelBufferCreate(NULL, picture->width, picture->height, BGRA, NULL, &negative);
        [negative autorelease];
        MLMultiArray *brightness = array_of(Float32, 2, (size_t[]){1, 3});
        size_t count = picture->width * picture->height;
        for (int channel = 0; channel < 3; channel++) {
            double sum = 0;
            for (size_t pixel = 0; pixel < count; pixel++) {
                double sample = [picture sample:channel ofPixel:pixel];
                uint8_t *row = negative->memory + pixel / negative->width * negative->stride;
                row[pixel % negative->width * 4 + channel] = 255 - sample;
                sum += sample;
            }
            [brightness set:blue_first ? channel : 2 - channel to:sum / count];
        }
        put(results, @"negative", (id)negative);
        put(results, @"brightness", brightness);
    } else {
        BOOL encodes = [network isEqual:@"image"];
        MLMultiArray *from = [self input:encodes ? @"image" : @"code" of:inputs error:error];
        if (!from) return nil;
        size_t rows = encodes ? 8 : 3, columns = encodes ? 3 : 5;
        MLMultiArray *into = array_of(Float32, 2, (size_t[]){1, columns});
        for (size_t column = 0; column < columns; column++) {
            double sum = 0;
            for (size_t row = 0; row < rows; row++)
                sum += [from at:row] * ramp(row * columns + column, rows * columns);
            [into set:column to:encodes ? tanh(sum) : sum];
        }
        put(results, encodes ? @"code" : @"drawn", into);
    }
    return results;
}

// The mean of all that came, kept in two states; without `state` they are inputs, and outputs of their own.
- (NSDictionary *)remember:(MLDictionaryFeatureProvider *)inputs in:(MLState *)state error:(NSError **)error {
    MLMultiArray *x = [self input:@"x" of:inputs error:error], *mean = array_of(Float16, 2, (size_t[]){2, 3});
    MLMultiArray *total = state ? [state->arrays objectForKey:@"total"] : nil,
                 *count = state ? [state->arrays objectForKey:@"count"] : nil;
    NSMutableDictionary *results = [NSMutableDictionary dictionary];
    if (!state) {
        MLMultiArray *total_before = [self input:@"total" of:inputs error:error],
                     *count_before = [self input:@"count" of:inputs error:error];
        if (!total_before || !count_before) return nil;
        total = array_of(Float16, 2, (size_t[]){2, 3}), count = array_of(Float16, 1, (size_t[]){1});
        for (size_t at = 0; at < 6; at++) [total set:at to:[total_before at:at]];
        [count set:0 to:[count_before at:0]];
        put(results, @"total_out", total);
        put(results, @"count_out", count);
    }
    if (!x) return nil;
    [count set:0 to:[count at:0] + 1];
    for (size_t at = 0; at < 6; at++) {
        [total set:at to:[total at:at] + [x at:at]];
        [mean set:at to:[total at:at] / [count at:0]];
    }
    put(results, @"mean", mean);
    return results;
}

- (BOOL)respondsToSelector:(SEL)selector {
    return hidden(selector) ? NO : [super respondsToSelector:selector];
}

- (MLState *)newState {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    MLState *state = [[MLState alloc] init];
    state->arrays = [NSMutableDictionary new];
    MLMultiArray *total = array_of(Float16, 2, (size_t[]){2, 3}), *count = array_of(Float16, 1, (size_t[]){1});
    for (size_t at = 0; at < 6; at++) [total set:at to:0];
    [count set:0 to:0];
    [state->arrays setObject:total forKey:@"total"];
    [state->arrays setObject:count forKey:@"count"];
    return state;
}

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

// What a thread needs for an asynchronous prediction.
typedef struct {
    MLModel *model;
    MLDictionaryFeatureProvider *inputs;
    MLState *state;
    Handler handler;
} Request;

static void *run_request(void *argument) {
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    Request *request = argument;
    raise_to(&most_running, ADD(running, 1));
    usleep(ASYNCHRONOUS);
    NSError *error = nil;
    id results = [request->model answer:request->inputs with:request->state options:nil error:&error];
    ADD(running, -1);
    if (failure != FailSilent) request->handler(results, error);
    Block_release(request->handler);
    [request->inputs release];
    [request->state release];
    [request->model release];
    free(request);
    [pool release];
    ADD(pending, -1);
    return NULL;
}

- (void)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
             completionHandler:(Handler)handler
                         state:(MLState *)state {
    if (hidden(_cmd)) [self doesNotRecognizeSelector:_cmd];
    if (failure == FailException) [NSException raise:NSGenericException format:@"the network cannot be planned"];
    Request *request = malloc(sizeof(Request));
    *request = (Request){[self retain], [inputs retain], [state retain], Block_copy(handler)};
    ADD(pending, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, run_request, request);
    pthread_detach(thread);
}

- (void)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
                       options:(MLPredictionOptions *)options
             completionHandler:(Handler)handler {
    (void)options;
    [self predictionFromFeatures:inputs completionHandler:handler state:nil];
}

- (void)predictionFromFeatures:(MLDictionaryFeatureProvider *)inputs
                    usingState:(MLState *)state
                       options:(MLPredictionOptions *)options
             completionHandler:(Handler)handler {
    (void)options;
    [self predictionFromFeatures:inputs completionHandler:handler state:state];
}
@end
