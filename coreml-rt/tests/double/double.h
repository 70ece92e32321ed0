// What the files of the double share.

#import <Foundation/Foundation.h>
#include <stdint.h>

@interface MLMultiArray : NSObject {
@public
    uint8_t *memory;
    NSArray *shape, *strides;
    NSInteger type;
    size_t bytes;
    void (^deallocator)(void *);
}
- (id)initWithShape:(NSArray *)sizes type:(NSInteger)data_type padding:(size_t)padding;
- (NSInteger)count;
- (size_t)offsetOf:(size_t)element;
@end

@interface MLFeatureValue : NSObject {
@public
    id value;
}
+ (id)of:(id)value;
- (MLMultiArray *)multiArrayValue;
@end

// The portable backend, where tools/apple-double has built it: NULL or nil when it cannot do it.
void *engine_open(NSString *package);
void engine_close(void *engine);
NSDictionary *engine_compute(void *engine, NSDictionary *features);
