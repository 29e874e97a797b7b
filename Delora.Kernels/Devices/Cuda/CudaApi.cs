using System.Runtime.InteropServices;

namespace Delora.Kernels;

/// <summary>What the driver answers (<c>CUresult</c>); only the words that the code asks for have names here.</summary>
internal enum CudaResult
{
    Success = 0,
    OutOfMemory = 2,
    NotReady = 600,
}

/// <summary><c>CUfunction_attribute</c>.</summary>
internal enum CudaFunctionAttribute
{
    MaxThreadsPerBlock = 0,
    SharedSizeBytes = 1,
    LocalSizeBytes = 3,
    NumRegs = 4,
    MaxDynamicSharedSizeBytes = 8,
}

/// <summary><c>CUdevice_attribute</c>.</summary>
internal enum CudaDeviceAttribute
{
    MaxThreadsPerBlock = 1,
    MultiprocessorCount = 16,
    ComputeCapabilityMajor = 75,
    ComputeCapabilityMinor = 76,
    MaxSharedMemoryPerBlockOptin = 97,
}

/// <summary><c>CUjit_option</c>.</summary>
internal enum CudaJitOption
{
    InfoLogBuffer = 3,
    InfoLogBufferSizeBytes = 4,
    ErrorLogBuffer = 5,
    ErrorLogBufferSizeBytes = 6,
}

/// <summary><c>CUstreamCaptureMode</c>.</summary>
internal enum CudaCaptureMode
{
    ThreadLocal = 1,
}

/// <summary><c>CUtensorMapDataType</c>.</summary>
internal enum CudaTensorType
{
    Float16 = 6,
    BFloat16 = 9,
}

/// <summary><c>CUtensorMapSwizzle</c>.</summary>
internal enum CudaTensorSwizzle
{
    Bytes128 = 3,
}

/// <summary><c>CUtensorMapL2promotion</c>: how much the second-level cache reads at once.</summary>
internal enum CudaTensorPromotion
{
    Bytes128 = 2,
}

/// <summary><c>CUlaunchAttribute</c> with the member <c>clusterDim</c> of its union.</summary>
[StructLayout(LayoutKind.Explicit, Size = 72)]
internal struct CudaLaunchAttribute
{
    internal const int ClusterDimension = 4;

    [FieldOffset(0)]
    internal int Id;

    [FieldOffset(8)]
    internal uint ClusterX;

    [FieldOffset(12)]
    internal uint ClusterY;

    [FieldOffset(16)]
    internal uint ClusterZ;
}

/// <summary><c>CUlaunchConfig</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CudaLaunchConfig
{
    internal uint GridX, GridY, GridZ, BlockX, BlockY, BlockZ, SharedBytes;
    internal nint Stream;
    internal CudaLaunchAttribute* Attributes;
    internal uint AttributeCount;
}

/// <summary>The functions of the CUDA driver that ILGPU does not bind, as NVIDIA's <c>cuda.h</c> declares them.</summary>
internal static unsafe partial class CudaApi
{
    private const string Library = "cuda";

    [LibraryImport(Library, EntryPoint = "cuGetErrorName")]
    internal static partial CudaResult GetErrorName(CudaResult error, byte** name);

    [LibraryImport(Library, EntryPoint = "cuGetErrorString")]
    internal static partial CudaResult GetErrorString(CudaResult error, byte** text);

    [LibraryImport(Library, EntryPoint = "cuDriverGetVersion")]
    internal static partial CudaResult DriverGetVersion(int* version);

    [LibraryImport(Library, EntryPoint = "cuCtxGetDevice")]
    internal static partial CudaResult CtxGetDevice(int* device);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetAttribute")]
    internal static partial CudaResult DeviceGetAttribute(int* value, CudaDeviceAttribute attribute, int device);

    [LibraryImport(Library, EntryPoint = "cuModuleLoadDataEx")]
    internal static partial CudaResult ModuleLoadDataEx(nint* module, byte* image, uint count, CudaJitOption* options, nint* values);

    [LibraryImport(Library, EntryPoint = "cuModuleUnload")]
    internal static partial CudaResult ModuleUnload(nint module);

    [LibraryImport(Library, EntryPoint = "cuModuleGetFunction", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial CudaResult ModuleGetFunction(nint* function, nint module, string name);

    [LibraryImport(Library, EntryPoint = "cuFuncGetAttribute")]
    internal static partial CudaResult FuncGetAttribute(int* value, CudaFunctionAttribute attribute, nint function);

    [LibraryImport(Library, EntryPoint = "cuFuncSetAttribute")]
    internal static partial CudaResult FuncSetAttribute(nint function, CudaFunctionAttribute attribute, int value);

    [LibraryImport(Library, EntryPoint = "cuLaunchKernel")]
    internal static partial CudaResult LaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, nint stream, void** parameters,
        void** extra);

    [LibraryImport(Library, EntryPoint = "cuLaunchKernelEx")]
    internal static partial CudaResult LaunchKernelEx(CudaLaunchConfig* config, nint function, void** parameters, void** extra);

    [LibraryImport(Library, EntryPoint = "cuMemcpyDtoDAsync_v2")]
    internal static partial CudaResult MemcpyDtoDAsync(ulong destination, ulong source, nuint length, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyHtoDAsync_v2")]
    internal static partial CudaResult MemcpyHtoDAsync(ulong destination, void* source, nuint length, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyDtoHAsync_v2")]
    internal static partial CudaResult MemcpyDtoHAsync(void* destination, ulong source, nuint length, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemsetD8Async")]
    internal static partial CudaResult MemsetD8Async(ulong destination, byte value, nuint length, nint stream);

    // Interleave and fill are enumerations: none, and zeros.
    [LibraryImport(Library, EntryPoint = "cuTensorMapEncodeTiled")]
    internal static partial CudaResult TensorMapEncodeTiled(
        TensorMap* map, CudaTensorType type, uint rank, void* address, ulong* sizes, ulong* strides, uint* tile, uint* steps, int interleave,
        CudaTensorSwizzle swizzle, CudaTensorPromotion promotion, int fill);

    [LibraryImport(Library, EntryPoint = "cuMemHostAlloc")]
    internal static partial CudaResult MemHostAlloc(void** address, nuint length, uint flags);

    [LibraryImport(Library, EntryPoint = "cuMemFreeHost")]
    internal static partial CudaResult MemFreeHost(void* address);

    [LibraryImport(Library, EntryPoint = "cuEventCreate")]
    internal static partial CudaResult EventCreate(nint* handle, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    internal static partial CudaResult EventDestroy(nint handle);

    [LibraryImport(Library, EntryPoint = "cuEventRecord")]
    internal static partial CudaResult EventRecord(nint handle, nint stream);

    [LibraryImport(Library, EntryPoint = "cuEventQuery")]
    internal static partial CudaResult EventQuery(nint handle);

    [LibraryImport(Library, EntryPoint = "cuEventSynchronize")]
    internal static partial CudaResult EventSynchronize(nint handle);

    [LibraryImport(Library, EntryPoint = "cuEventElapsedTime")]
    internal static partial CudaResult EventElapsedTime(float* milliseconds, nint start, nint end);

    [LibraryImport(Library, EntryPoint = "cuStreamBeginCapture_v2")]
    internal static partial CudaResult StreamBeginCapture(nint stream, CudaCaptureMode mode);

    [LibraryImport(Library, EntryPoint = "cuStreamEndCapture")]
    internal static partial CudaResult StreamEndCapture(nint stream, nint* graph);

    [LibraryImport(Library, EntryPoint = "cuGraphInstantiateWithFlags")]
    internal static partial CudaResult GraphInstantiateWithFlags(nint* executable, nint graph, ulong flags);

    [LibraryImport(Library, EntryPoint = "cuGraphLaunch")]
    internal static partial CudaResult GraphLaunch(nint executable, nint stream);

    [LibraryImport(Library, EntryPoint = "cuGraphExecDestroy")]
    internal static partial CudaResult GraphExecDestroy(nint executable);

    [LibraryImport(Library, EntryPoint = "cuGraphDestroy")]
    internal static partial CudaResult GraphDestroy(nint graph);

    /// <summary>The driver's word for an answer, for instance <c>CUDA_ERROR_INVALID_PTX (218): a PTX JIT compilation failed</c>.</summary>
    internal static string Describe(CudaResult result)
    {
        byte* name = null, text = null;
        _ = GetErrorName(result, &name);
        _ = GetErrorString(result, &text);
        string word = Marshal.PtrToStringUTF8((nint)name) ?? "an unknown error";
        return $"{word} ({(int)result}): {Marshal.PtrToStringUTF8((nint)text) ?? "the driver has no words for it"}";
    }
}
