// Pixel buffers of Core Video.
//
// Owns: padded rows, and memory that is shown only while it is locked.
// Flow: coreml-rt makes inputs, networks.m outputs.

#import "double.h"
#include <stdlib.h>
#include <string.h>

NSString *const kCVPixelBufferIOSurfacePropertiesKey = @"IOSurfaceProperties";

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
    (void)allocator;
    BOOL surface = [(NSDictionary *)attributes objectForKey:kCVPixelBufferIOSurfacePropertiesKey] != nil;
    if (!width || !height || (surface && failure == FailSurface))
        return -6680; // kCVReturnInvalidSize
    ADD(surfaces, surface);
    CVPixelBuffer *buffer = [[CVPixelBuffer alloc] init];
    buffer->width = width, buffer->height = height, buffer->format = format, buffer->surface = surface;
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
