// Entry points of Apple's Objective-C runtime and Foundation that GCC's runtime and GNUstep lack.
//
// Owns: the differences between the two runtimes. Must not: know Core ML; the other files do.
// Flow: tools/apple-double links both into one library that stands in for libobjc, Foundation and CoreML.

#import <Foundation/Foundation.h>
#include <dlfcn.h>
#include <objc/runtime.h>
#include <stdlib.h>
#include <string.h>

// Sends a message the way Apple's ABI does: look the method up, then jump to it with every argument where it was.
// Arguments lie in six integer and eight vector registers; al counts the vector registers of a variadic call.
__asm__(".text\n"
        ".globl objc_msgSend\n"
        ".type objc_msgSend, @function\n"
        "objc_msgSend:\n"
        ".cfi_startproc\n"
        "  pushq %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset %rbp, -16\n"
        "  movq %rsp, %rbp\n"
        ".cfi_def_cfa_register %rbp\n"
        "  pushq %rax\n  pushq %rdi\n  pushq %rsi\n  pushq %rdx\n  pushq %rcx\n  pushq %r8\n  pushq %r9\n"
        "  subq $136, %rsp\n" // 128 bytes of vectors; 7 pushes and 8 bytes more keep the stack aligned to 16
        "  movups %xmm0, 0(%rsp)\n  movups %xmm1, 16(%rsp)\n  movups %xmm2, 32(%rsp)\n  movups %xmm3, 48(%rsp)\n"
        "  movups %xmm4, 64(%rsp)\n  movups %xmm5, 80(%rsp)\n  movups %xmm6, 96(%rsp)\n  movups %xmm7, 112(%rsp)\n"
        "  call objc_msg_lookup@PLT\n"
        "  movq %rax, %r11\n"
        "  movups 0(%rsp), %xmm0\n  movups 16(%rsp), %xmm1\n  movups 32(%rsp), %xmm2\n  movups 48(%rsp), %xmm3\n"
        "  movups 64(%rsp), %xmm4\n  movups 80(%rsp), %xmm5\n  movups 96(%rsp), %xmm6\n  movups 112(%rsp), %xmm7\n"
        "  addq $136, %rsp\n"
        "  popq %r9\n  popq %r8\n  popq %rcx\n  popq %rdx\n  popq %rsi\n  popq %rdi\n  popq %rax\n"
        "  popq %rbp\n"
        ".cfi_def_cfa %rsp, 8\n"
        "  jmp *%r11\n"
        ".cfi_endproc\n"
        ".size objc_msgSend, . - objc_msgSend\n");

id objc_retain(id object) {
    return [object retain];
}

void objc_release(id object) {
    [object release];
}

id objc_autorelease(id object) {
    return [object autorelease];
}

// Apple's may skip the pool; to retain is what it amounts to.
id objc_retainAutoreleasedReturnValue(id object) {
    return [object retain];
}

id objc_retainAutorelease(id object) {
    return [[object retain] autorelease];
}

id objc_alloc(Class class) {
    return [(id)class alloc];
}

void *objc_autoreleasePoolPush(void) {
    return [[NSAutoreleasePool alloc] init];
}

void objc_autoreleasePoolPop(void *pool) {
    [(NSAutoreleasePool *)pool release];
}

// In GCC's runtime this is an inline function of a header.
Class double_object_getClass(id object) __asm__("object_getClass");
Class double_object_getClass(id object) {
    return object ? *(Class *)object : Nil;
}

// Hides class methods of systems that are newer than the one a test asks for.
BOOL hidden(SEL selector);
Method class_getClassMethod(Class class, SEL selector) {
    return hidden(selector) ? NULL : class_getInstanceMethod(double_object_getClass((id)class), selector);
}

// The same for methods of objects.
BOOL class_respondsToSelector(Class class, SEL selector) {
    static BOOL (*original)(Class, SEL);
    if (!original) original = (BOOL(*)(Class, SEL))dlsym(RTLD_NEXT, "class_respondsToSelector");
    return !hidden(selector) && original(class, selector);
}

// What objc2-exception-helper compiles on a Mac.
unsigned char objc2_exception_helper_0_1_try_catch(void (*work)(void *), void *context, id *exception) {
    @try {
        work(context);
        return 0;
    } @catch (id caught) {
        *exception = [caught retain];
        return 1;
    }
}

// The version of the system, for `available!`; a test sets it before the first question, since the answer is kept.
int sysctlbyname(const char *name, void *old, size_t *length, void *new, size_t new_length) {
    (void)new, (void)new_length;
    const char *version = getenv("COREML_DOUBLE_MACOS");
    if (!version) version = "15.0";
    if (strcmp(name, "kern.osproductversion") != 0) return -1;
    size_t needed = strlen(version) + 1;
    if (old) {
        if (*length < needed) return -1;
        memcpy(old, version, needed);
    }
    *length = needed;
    return 0;
}

@implementation NSURL (AppleFoundation)
- (id)initFileURLWithFileSystemRepresentation:(const char *)path isDirectory:(BOOL)directory relativeToURL:(NSURL *)base {
    (void)base;
    return [self initFileURLWithPath:[NSString stringWithUTF8String:path] isDirectory:directory];
}

- (BOOL)getFileSystemRepresentation:(char *)buffer maxLength:(NSUInteger)length {
    const char *path = [[self path] fileSystemRepresentation];
    if (!path || strlen(path) >= length) return NO;
    strcpy(buffer, path);
    return YES;
}
@end

// The folders of the user's that are asked for, where a Mac has them. GNUstep's own are in the home folder of the password
// file, whatever HOME says.
NSArray *NSSearchPathForDirectoriesInDomains(NSSearchPathDirectory directory, NSSearchPathDomainMask domains, BOOL expand) {
    NSString *name = directory == NSApplicationSupportDirectory ? @"Application Support"
                     : directory == NSCachesDirectory           ? @"Caches"
                                                                : nil;
    const char *home = getenv("HOME");
    if (!name || !home || domains != NSUserDomainMask || !expand) return [NSArray array];
    return [NSArray arrayWithObject:[NSString stringWithFormat:@"%s/Library/%@", home, name]];
}
