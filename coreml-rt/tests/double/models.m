// Models: compiled, loaded, recognised.
//
// Owns: MLModel, and what a test sees of loading. Must not: predict; predictions.m does.
// Flow: coreml-rt loads; the specification's names choose a network of networks.m.

#import "double.h"
#include <stdlib.h>
#include <string.h>

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
    const char *name = [configuration->functionName UTF8String];
    if (name && !memmem([bytes bytes], [bytes length], name, strlen(name))) {
        if (error) *error = error_of(0, [NSString stringWithFormat:@"there is no function %s", name], nil);
        return nil;
    }
    MLModel *model = [[[self alloc] init] autorelease];
    const char *names[] = {"gold fish", "species", "products", "scaled", "doubled", "kept",  "restored",
                           "negative",  "total",   "grown",    "halved", "deeper",  "drawn", "image"};
    // Width 4, height 2, color space BGR, as the specification writes it.
    model->blue_first = memmem([bytes bytes], [bytes length], "\x08\x04\x10\x02\x18\x1e", 6) != NULL;
    // With an engine every model is computed by it, whatever its names are.
    for (int at = 0; at < 14 && !model->network && !getenv("COREML_DOUBLE_ENGINE"); at++)
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
    // For tests that load one model at a time.
    [[url path] getCString:last_path maxLength:sizeof last_path encoding:NSUTF8StringEncoding];
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

- (BOOL)respondsToSelector:(SEL)selector {
    return hidden(selector) ? NO : [super respondsToSelector:selector];
}
@end
