// Multi-arrays.
//
// Owns: memory that is never zero before it is written, and overwritten when it is freed; padding, copies that handlers see.
// Flow: coreml-rt makes inputs, networks.m outputs.

#import "double.h"
#include <Block.h>
#include <stdlib.h>
#include <string.h>

static size_t number_at(NSArray *numbers, NSUInteger at) { return [[numbers objectAtIndex:at] unsignedIntegerValue]; }

@implementation MLMultiArray
COUNTED
RELEASING([self letGo]; [shape release]; [strides release])
- (void)letGo {
    if (surface) {
        [surface release];
    } else if (deallocator) {
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

- (id)initWithPixelBuffer:(CVPixelBuffer *)buffer shape:(NSArray *)sizes {
    if (!(self = [self init])) return nil;
    size_t rank = [sizes count], rows = 1;
    for (size_t at = 0; at + 1 < rank; at++) rows *= number_at(sizes, at);
    if (hidden(_cmd) || !buffer->surface || buffer->format != GrayHalf || buffer->height != rows || rank == 0 ||
        buffer->width != number_at(sizes, rank - 1)) {
        [self release];
        [NSException raise:NSInvalidArgumentException format:@"no surface of this shape"];
    }
    NSMutableArray *steps = [NSMutableArray arrayWithObject:[NSNumber numberWithInt:1]];
    size_t step = buffer->stride / 2;
    for (NSInteger at = (NSInteger)rank - 2; at >= 0; step *= number_at(sizes, at--))
        [steps insertObject:[NSNumber numberWithUnsignedInteger:step] atIndex:0];
    type = Float16;
    shape = [sizes copy];
    strides = [steps copy];
    surface = [buffer retain];
    memory = buffer->memory;
    bytes = buffer->stride * buffer->height;
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
