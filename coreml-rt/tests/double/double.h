// What the files of the double share: its classes, its counters, and how they are counted.

#import <Foundation/Foundation.h>
#include <stdint.h>

enum { Float16 = 0x10010, Float32 = 0x10020, Float64 = 0x10040, Int32 = 0x20020, Int8 = 0x20008 };
enum { FailNothing, FailError, FailWrongFeature, FailException, FailCompile, FailLoad, FailMissingOutput, FailType,
       FailSilent, FailBacking, FailKeepBacking, FailSurface, FailKeepInputs };

// How many elements stand between two rows of an output, beyond the row.
enum { PADDING = 5 };

// What a test observes and provokes: steering.m.
extern int running, most_running, backings_used, predicting, most_predicting, last_low_precision;
extern NSInteger last_strategy, last_frequency, last_units;
extern char last_path[4096];
extern int live, compilations, loads, late_changes, overlaps, failure, old_system, pending, locks, surfaces;

#define ADD(counter, by) __sync_add_and_fetch(&(counter), by)

#define COUNTED \
    -(id)init { if ((self = [super init])) ADD(live, 1); return self; }
#define RELEASING(...) \
    -(void)dealloc { __VA_ARGS__; ADD(live, -1); [super dealloc]; }

BOOL hidden(SEL selector);
NSError *error_of(NSInteger code, NSString *text, NSError *under);
void raise_to(int *most, int now);
// Runs a block on a thread of its own.
void in_thread(void (^work)(void), id first, id second, void *handler);

static inline size_t size_of_type(NSInteger type) { return (type & 0xff) / 8; }

@interface MLMultiArray : NSObject {
@public
    uint8_t *memory;
    NSArray *shape, *strides;
    NSInteger type;
    size_t bytes;
    void (^deallocator)(void *);
    id surface;
}
- (id)initWithShape:(NSArray *)sizes type:(NSInteger)data_type padding:(size_t)padding;
- (NSInteger)count;
- (size_t)offsetOf:(size_t)element;
- (double)at:(size_t)element;
- (void)set:(size_t)element to:(double)value;
- (uint64_t)checksum;
@end

enum { BGRA = 0x42475241, Gray8 = 0x4C303038, GrayHalf = 0x4C303068 };
// How many bytes stand between two rows of an image, beyond the row.
enum { ROW_PADDING = 20 };

@interface CVPixelBuffer : NSObject {
@public
    uint8_t *memory;
    size_t width, height, stride;
    uint32_t format;
    int locked;
    BOOL surface;
}
- (uint64_t)checksum;
- (double)sample:(int)channel ofPixel:(size_t)pixel;
@end

@interface MLState : NSObject {
@public
    NSMutableDictionary *arrays;
}
@end

@interface MLFeatureValue : NSObject {
@public
    id value;
}
+ (id)of:(id)value;
- (MLMultiArray *)multiArrayValue;
- (CVPixelBuffer *)imageBufferValue;
@end

@interface MLDictionaryFeatureProvider : NSObject {
@public
    NSDictionary *features;
}
- (id)initWithDictionary:(NSDictionary *)dictionary error:(NSError **)error;
- (MLFeatureValue *)featureValueForName:(NSString *)name;
@end

@interface MLArrayBatchProvider : NSObject {
@public
    NSArray *array;
}
- (id)initWithFeatureProviderArray:(NSArray *)providers;
- (NSInteger)count;
- (MLDictionaryFeatureProvider *)featuresAtIndex:(NSInteger)index;
@end

@interface MLOptimizationHints : NSObject <NSCopying> {
@public
    NSInteger strategy, frequency;
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

@interface MLPredictionOptions : NSObject {
@public
    NSDictionary *backings;
}
@end

@interface MLModelAsset : NSObject {
@public
    NSData *specification;
}
@end

typedef void (^Handler)(MLDictionaryFeatureProvider *, NSError *);

@interface MLModel : NSObject {
@public
    NSString *network, *function;
    void *engine;
    BOOL blue_first, keeps_states;
    int users;
}
@end

@interface MLModel (Predictions)
- (id)answer:(MLDictionaryFeatureProvider *)inputs
        with:(MLState *)state
     options:(MLPredictionOptions *)options
       error:(NSError **)error;
@end

@interface MLModel (Networks)
- (NSDictionary *)compute:(MLDictionaryFeatureProvider *)inputs error:(NSError **)error;
- (NSDictionary *)remember:(MLDictionaryFeatureProvider *)inputs in:(MLState *)state error:(NSError **)error;
@end

extern NSString *const kCVPixelBufferIOSurfacePropertiesKey;
int CVPixelBufferCreate(void *allocator, size_t width, size_t height, uint32_t format, void *attributes,
                        CVPixelBuffer **out);

// The portable backend, where tools/apple-double has built it: NULL or nil when it cannot do it.
void *engine_open(NSString *package);
void engine_close(void *engine);
NSDictionary *engine_compute(void *engine, NSDictionary *features);
