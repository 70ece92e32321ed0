// A double of Core ML's compute plans.
//
// Owns: one plan, the same for every model: a constant, operations on two devices, and one with a block inside.
// Must not: know models. Flow: tests/apple/plan.rs reads it through coreml-rt.

#import <Foundation/Foundation.h>
#include <Block.h>

void double_count(int by);

#define COUNTED \
    -(id)init { if ((self = [super init])) double_count(1); return self; } \
    -(void)dealloc { double_count(-1); [self letGo]; [super dealloc]; }
#define CLASS(name) @interface name : NSObject @end @implementation name COUNTED - (void)letGo {} @end

CLASS(MLCPUComputeDevice)
CLASS(MLGPUComputeDevice)
CLASS(MLNeuralEngineComputeDevice)

// An object that has everything which the classes of a plan have.
@interface Part : NSObject {
@public
    NSString *name;
    NSArray *outputs, *blocks, *operations, *supported;
    id preferred;
    double weight;
}
@end

@implementation Part
COUNTED
- (void)letGo { [name release]; [outputs release]; [blocks release]; [operations release]; [supported release]; }
+ (id)part { return [[[self alloc] init] autorelease]; }
- (NSString *)operatorName { return name; }
- (NSString *)name { return name; }
- (NSArray *)outputs { return outputs; }
- (NSArray *)blocks { return blocks; }
- (NSArray *)operations { return operations; }
- (NSArray *)supportedComputeDevices { return supported; }
- (id)preferredComputeDevice { return preferred; }
- (double)weight { return weight; }
@end

#define PART(class) @interface class : Part @end @implementation class @end
PART(MLModelStructureProgramNamedValueType)
PART(MLModelStructureProgramOperation)
PART(MLModelStructureProgramBlock)
PART(MLComputePlanDeviceUsage)
PART(MLComputePlanCost)

static MLModelStructureProgramOperation *operation(NSString *name, NSArray *supported, double weight, NSArray *blocks) {
    MLModelStructureProgramNamedValueType *output = [MLModelStructureProgramNamedValueType part];
    output->name = [[name stringByAppendingString:@"_0"] copy];
    MLModelStructureProgramOperation *made = [MLModelStructureProgramOperation part];
    made->name = [name copy];
    made->outputs = [[NSArray arrayWithObject:output] copy];
    made->blocks = [blocks copy];
    made->supported = [supported copy];
    made->preferred = [made->supported lastObject];
    made->weight = weight;
    return made;
}

static MLModelStructureProgramBlock *block(NSArray *operations) {
    MLModelStructureProgramBlock *made = [MLModelStructureProgramBlock part];
    made->operations = [operations copy];
    return made;
}

@interface MLModelStructureProgramFunction : NSObject
@end
@implementation MLModelStructureProgramFunction
COUNTED
- (void)letGo {}
- (MLModelStructureProgramBlock *)block {
    NSArray *cpu = [NSArray arrayWithObject:[[MLCPUComputeDevice new] autorelease]];
    NSArray *all = [cpu arrayByAddingObject:[[MLGPUComputeDevice new] autorelease]];
    all = [all arrayByAddingObject:[[MLNeuralEngineComputeDevice new] autorelease]];
    NSArray *inner = [NSArray arrayWithObject:block([NSArray arrayWithObject:operation(@"ios17.mul", cpu, 0.125, [NSArray array])])];
    return block([NSArray arrayWithObjects:operation(@"const", [NSArray array], 0, [NSArray array]),
                                           operation(@"ios17.conv", all, 0.5, [NSArray array]),
                                           operation(@"ios17.gather", cpu, 0.125, [NSArray array]),
                                           operation(@"ios17.cond", cpu, 0, inner),
                                           operation(@"ios17.linear", all, 0.25, [NSArray array]), nil]);
}
@end

@interface MLModelStructureProgram : NSObject {
@public
    NSString *function;
}
@end
@implementation MLModelStructureProgram
COUNTED
- (void)letGo { [function release]; }
- (NSDictionary *)functions {
    return [NSDictionary dictionaryWithObject:[[MLModelStructureProgramFunction new] autorelease] forKey:function];
}
@end

@interface MLModelStructure : NSObject {
@public
    NSString *function;
}
@end
@implementation MLModelStructure
COUNTED
- (void)letGo { [function release]; }
- (id)program {
    MLModelStructureProgram *program = [[MLModelStructureProgram new] autorelease];
    program->function = [function copy];
    return program;
}
@end

@interface MLComputePlan : NSObject {
@public
    NSString *function;
}
@end
@implementation MLComputePlan
COUNTED
- (void)letGo { [function release]; }
- (id)modelStructure {
    MLModelStructure *structure = [[MLModelStructure new] autorelease];
    structure->function = [function copy];
    return structure;
}
- (id)computeDeviceUsageForMLProgramOperation:(MLModelStructureProgramOperation *)operation {
    if (!operation->preferred) return nil;
    MLComputePlanDeviceUsage *usage = [MLComputePlanDeviceUsage part];
    usage->supported = [operation->supported copy];
    usage->preferred = [usage->supported lastObject];
    return usage;
}
- (id)estimatedCostOfMLProgramOperation:(MLModelStructureProgramOperation *)operation {
    if (!operation->preferred) return nil;
    MLComputePlanCost *cost = [MLComputePlanCost part];
    cost->weight = operation->weight;
    return cost;
}
+ (void)loadContentsOfURL:(NSURL *)url
            configuration:(id)configuration
        completionHandler:(void (^)(MLComputePlan *, NSError *))handler {
    // On this thread: Core ML promises none.
    if (![[url path] hasSuffix:@".mlmodelc"]) {
        handler(nil, [NSError errorWithDomain:@"com.apple.CoreML" code:3 userInfo:[NSDictionary dictionary]]);
        return;
    }
    MLComputePlan *plan = [MLComputePlan new];
    NSString *chosen = [configuration valueForKey:@"functionName"];
    plan->function = [(chosen ? chosen : @"main") copy];
    handler(plan, nil);
    [plan release];
}
@end
