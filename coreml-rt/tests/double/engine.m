// Models that the double does not know by name: the portable backend computes them.
//
// Owns: passing features to tools/apple-engine and back. Must not: compute anything itself.
// Flow: models.m asks here for a model without a network of its own; without COREML_DOUBLE_ENGINE there is none.

#import "double.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    int32_t type;
    size_t rank;
    const size_t *dims;
    const void *elements;
} Array;

typedef void (*Give)(void *, const char *, int32_t, size_t, const size_t *, const void *);

enum { Label = 1, Probability = 2 };

static void *symbol(const char *name) {
    static void *library;
    const char *path = getenv("COREML_DOUBLE_ENGINE");
    if (!path) return NULL;
    if (!library) library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) NSLog(@"%s", dlerror());
    return library ? dlsym(library, name) : NULL;
}

void *engine_open(NSString *package) {
    void *(*load)(const char *) = symbol("engine_load");
    return load ? load([package fileSystemRepresentation]) : NULL;
}

void engine_close(void *engine) {
    void (*release)(void *) = symbol("engine_free");
    if (engine && release) release(engine);
}

static void take(void *context, const char *name, int32_t kind, size_t rank, const size_t *dims, const void *elements) {
    NSMutableDictionary *results = context;
    NSString *key = [NSString stringWithUTF8String:name];
    if (kind == Label) {
        [results setObject:[MLFeatureValue of:[NSString stringWithUTF8String:elements]] forKey:key];
    } else if (kind == Probability) {
        NSArray *parts = [key componentsSeparatedByString:@"\n"];
        MLFeatureValue *value = [results objectForKey:[parts lastObject]];
        if (!value) value = [MLFeatureValue of:[NSMutableDictionary dictionary]];
        [(NSMutableDictionary *)value->value setObject:[NSNumber numberWithFloat:*(const float *)elements]
                                                forKey:[parts objectAtIndex:0]];
        [results setObject:value forKey:[parts lastObject]];
    } else {
        NSMutableArray *shape = [NSMutableArray array];
        for (size_t at = 0; at < rank; at++) [shape addObject:[NSNumber numberWithUnsignedInteger:dims[at]]];
        // With padding, as Core ML may.
        MLMultiArray *array = [[[MLMultiArray alloc] initWithShape:shape type:kind padding:5] autorelease];
        size_t size = (kind & 0xff) / 8;
        for (NSInteger at = 0; at < [array count]; at++)
            memcpy(array->memory + [array offsetOf:at] * size, (const uint8_t *)elements + at * size, size);
        [results setObject:[MLFeatureValue of:array] forKey:key];
    }
}

NSDictionary *engine_compute(void *engine, NSDictionary *features) {
    int32_t (*run)(void *, const Array *, size_t, Give, void *) = symbol("engine_run");
    NSArray *names = [features allKeys];
    size_t count = [names count];
    Array inputs[count ? count : 1];
    for (size_t index = 0; index < count; index++) {
        NSString *name = [names objectAtIndex:index];
        MLMultiArray *array = [[features objectForKey:name] multiArrayValue];
        if (!array) return nil;
        size_t size = (array->type & 0xff) / 8, rank = [array->shape count];
        NSMutableData *elements = [NSMutableData dataWithLength:[array count] * size];
        NSMutableData *dims = [NSMutableData dataWithLength:rank * sizeof(size_t)];
        for (size_t at = 0; at < rank; at++)
            ((size_t *)[dims mutableBytes])[at] = [[array->shape objectAtIndex:at] unsignedIntegerValue];
        for (NSInteger at = 0; at < [array count]; at++)
            memcpy((uint8_t *)[elements mutableBytes] + at * size, array->memory + [array offsetOf:at] * size, size);
        inputs[index] = (Array){[name UTF8String], array->type, rank, [dims bytes], [elements bytes]};
    }
    NSMutableDictionary *results = [NSMutableDictionary dictionary];
    return run && run(engine, inputs, count, take, results) == 0 ? results : nil;
}
