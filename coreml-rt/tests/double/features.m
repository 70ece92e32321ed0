// Feature values, their providers, and states.
//
// Owns: getters that autorelease, as Apple's may. Must not: know models.
// Flow: coreml-rt makes them of inputs, models.m gives them as results.

#import "double.h"

@implementation MLState
COUNTED
RELEASING([arrays release])
- (void)getMultiArrayForStateNamed:(NSString *)name handler:(void (^)(MLMultiArray *))handler {
    MLMultiArray *array = [arrays objectForKey:name];
    if (!array) [NSException raise:NSInvalidArgumentException format:@"there is no state %@", name];
    handler(array);
}
@end

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
