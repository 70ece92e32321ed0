// How a model is loaded and asked: configuration, hints, options of a prediction, models in memory.
//
// Owns: what of it an old system lacks. Must not: act on it; models.m does.
// Flow: coreml-rt fills them before it loads or predicts.

#import "double.h"
#include <string.h>

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
