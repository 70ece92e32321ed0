// The networks that the double computes: those of tests/data/make.py.
//
// Owns: their arithmetic. A model is known by the names in its specification; engine.m computes others.
// Flow: predictions.m asks for results, whose rows are padded.

#import "double.h"
#include <math.h>

static double ramp(size_t at, size_t count) { return 2.0 * at / (count - 1) - 1.0; }

static MLMultiArray *array_of(NSInteger type, NSUInteger rank, const size_t *sizes) {
    NSMutableArray *shape = [NSMutableArray array];
    for (NSUInteger at = 0; at < rank; at++) [shape addObject:[NSNumber numberWithUnsignedInteger:sizes[at]]];
    return [[[MLMultiArray alloc] initWithShape:shape type:type padding:PADDING] autorelease];
}

static void put(NSMutableDictionary *results, NSString *name, id value) {
    [results setObject:[MLFeatureValue of:value] forKey:name];
}

@implementation MLModel (Networks)
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
    if ([network isEqual:@"gold fish"] || [network isEqual:@"species"]) {
        MLMultiArray *x = [self input:@"x" of:inputs error:error];
        if (!x) return nil;
        NSArray *labels = [NSArray arrayWithObjects:@"cat", @"dog", @"gold fish", nil];
        BOOL by_name = [network isEqual:@"gold fish"];
        if (!by_name)
            labels = [NSArray arrayWithObjects:[NSNumber numberWithLongLong:40], [NSNumber numberWithLongLong:-2],
                                               [NSNumber numberWithLongLong:3000000000], nil];
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
        put(results, by_name ? @"classLabel" : @"species", [labels objectAtIndex:best]);
        put(results, by_name ? @"classLabel_probs" : @"species_probs", probabilities);
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
    } else if ([network isEqual:@"restored"]) {
        // Two functions with a matrix in common, of which the first is the default.
        BOOL decodes = [function isEqual:@"decode"];
        MLMultiArray *from = [self input:decodes ? @"secret" : @"plain" of:inputs error:error];
        if (!from) return nil;
        size_t rows = decodes ? 3 : 4, columns = decodes ? 4 : 3;
        MLMultiArray *into = array_of(Float32, 2, (size_t[]){1, columns});
        for (size_t column = 0; column < columns; column++) {
            double sum = 0;
            for (size_t row = 0; row < rows; row++)
                sum += [from at:row] * ramp(decodes ? column * 3 + row : row * 3 + column, 12);
            [into set:column to:sum];
        }
        put(results, decodes ? @"restored" : @"secret", into);
    } else if ([network isEqual:@"grown"]) {
        MLMultiArray *wide = [self input:@"wide" of:inputs error:error];
        if (!wide) return nil;
        MLMultiArray *grown = array_of(Float32, 2, (size_t[]){64, 128});
        for (NSInteger at = 0; at < [wide count]; at++) [grown set:at to:2 * [wide at:at]];
        put(results, @"grown", grown);
    } else if ([network isEqual:@"halved"]) {
        MLMultiArray *wide = [self input:@"wide" of:inputs error:error];
        if (!wide) return nil;
        MLMultiArray *halved = array_of(Float16, 3, (size_t[]){4, 16, 128});
        for (NSInteger at = 0; at < [wide count]; at++) [halved set:at to:[wide at:at] / 2];
        put(results, @"halved", halved);
    } else if ([network isEqual:@"deeper"]) {
        CVPixelBuffer *depth = [[inputs featureValueForName:@"depth"] imageBufferValue], *deeper;
        if (!depth || depth->format != GrayHalf || depth->width != 5 || depth->height != 3) {
            if (error) *error = error_of(1, @"Image for image feature \'depth\' is not in a supported format", nil);
            return nil;
        }
        CVPixelBufferCreate(NULL, depth->width, depth->height, GrayHalf, NULL, &deeper);
        [deeper autorelease];
        for (size_t pixel = 0; pixel < depth->width * depth->height; pixel++) {
            _Float16 *row = (_Float16 *)(deeper->memory + pixel / deeper->width * deeper->stride);
            row[pixel % deeper->width] = 2 * [depth sample:0 ofPixel:pixel];
        }
        put(results, @"deeper", (id)deeper);
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
@end
