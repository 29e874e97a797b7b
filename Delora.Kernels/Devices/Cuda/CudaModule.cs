using System.Runtime.InteropServices;
using System.Text;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>A PTX text that the driver has assembled and loaded.</summary>
internal sealed unsafe class CudaModule : IPtxModule
{
    private const int LogBytes = 16 << 10;

    private readonly CudaDriver _driver;
    private readonly string _name;
    private nint _module;

    /// <summary>Assembles and loads a text; the driver is bound.</summary>
    internal CudaModule(CudaDriver driver, string name, string ptx)
    {
        _driver = driver;
        _name = name;
        byte[] image = Encoding.UTF8.GetBytes(ptx + '\0');
        byte* errors = (byte*)NativeMemory.AllocZeroed(LogBytes), notes = (byte*)NativeMemory.AllocZeroed(LogBytes);
        try
        {
            // The driver writes the lengths of the logs over the sizes of their buffers.
            CudaJitOption* options = stackalloc CudaJitOption[]
            {
                CudaJitOption.ErrorLogBuffer, CudaJitOption.ErrorLogBufferSizeBytes, CudaJitOption.InfoLogBuffer, CudaJitOption.InfoLogBufferSizeBytes,
            };
            nint* values = stackalloc nint[] { (nint)errors, LogBytes, (nint)notes, LogBytes };
            nint module;
            CudaResult result;
            fixed (byte* text = image) result = CudaApi.ModuleLoadDataEx(&module, text, 4, options, values);
            if (result != CudaResult.Success)
                throw new DeviceException($"{name}: the CUDA driver says {CudaApi.Describe(result)}{Log("errors", errors)}{Log("notes", notes)}");
            _module = module;
        }
        finally
        {
            NativeMemory.Free(errors);
            NativeMemory.Free(notes);
        }
    }

    public IPtxFunction GetFunction(PtxSignature signature)
    {
        ObjectDisposedException.ThrowIf(_module == 0, this);
        _driver.Bind();
        nint function;
        CudaDriver.Check(CudaApi.ModuleGetFunction(&function, _module, signature.Entry), $"{_name}: asking for the entry {signature.Entry}");
        return new CudaFunction(_driver, function, signature.Offsets);
    }

    public void Dispose()
    {
        if (_module == 0) return;
        _driver.Bind();
        _ = CudaApi.ModuleUnload(_module);
        _module = 0;
    }

    private static string Log(string what, byte* log)
    {
        string text = (Marshal.PtrToStringUTF8((nint)log) ?? "").Trim();
        return text.Length == 0 ? "" : $"\nThe assembler's {what}:\n{text}";
    }
}

/// <summary>An entry of a loaded text.</summary>
internal sealed unsafe class CudaFunction : IPtxFunction
{
    private readonly CudaDriver _driver;
    private readonly nint _function;
    private readonly int[] _offsets;

    // What a group may have without being asked for: static and dynamic shared memory together.
    private int _dynamicSharedBytes;

    internal CudaFunction(CudaDriver driver, nint function, int[] offsets)
    {
        _driver = driver;
        _function = function;
        _offsets = offsets;
        Info = new PtxFunctionInfo(
            Ask(CudaFunctionAttribute.MaxThreadsPerBlock), Ask(CudaFunctionAttribute.NumRegs), Ask(CudaFunctionAttribute.LocalSizeBytes),
            Ask(CudaFunctionAttribute.SharedSizeBytes));
        _dynamicSharedBytes = Ask(CudaFunctionAttribute.MaxDynamicSharedSizeBytes);
    }

    public PtxFunctionInfo Info { get; }

    public void Launch(PtxLaunch launch, ReadOnlySpan<byte> parameters)
    {
        _driver.Bind();
        if (launch.DynamicSharedBytes > _dynamicSharedBytes)
        {
            CudaDriver.Check(
                CudaApi.FuncSetAttribute(_function, CudaFunctionAttribute.MaxDynamicSharedSizeBytes, launch.DynamicSharedBytes),
                $"asking for {launch.DynamicSharedBytes} bytes of shared memory beside {Info.StaticSharedBytes} static ones");
            _dynamicSharedBytes = launch.DynamicSharedBytes;
        }
        // One address for each parameter, and not the packed buffer that cuLaunchKernel also takes ("extra"): only the driver knows where the
        // assembler wants them. ptxas 12.4 puts the first tensor map of a kernel for sm_90a at 0x30, not at 0.
        fixed (byte* buffer = parameters)
        {
            void** addresses = stackalloc void*[_offsets.Length];
            for (int i = 0; i < _offsets.Length; i++) addresses[i] = buffer + _offsets[i];
            CudaDriver.Check(launch.ClusterX == 1 ? Start(launch, addresses) : StartClusters(launch, addresses), "launching");
        }
    }

    private CudaResult Start(PtxLaunch launch, void** parameters) =>
        CudaApi.LaunchKernel(
            _function, checked((uint)launch.GridX), checked((uint)launch.GridY), checked((uint)launch.GridZ), checked((uint)launch.GroupX),
            checked((uint)launch.GroupY), checked((uint)launch.GroupZ), checked((uint)launch.DynamicSharedBytes), _driver.Stream, parameters, null);

    private CudaResult StartClusters(PtxLaunch launch, void** parameters)
    {
        var cluster = new CudaLaunchAttribute
        {
            Id = CudaLaunchAttribute.ClusterDimension,
            ClusterX = checked((uint)launch.ClusterX),
            ClusterY = 1,
            ClusterZ = 1,
        };
        var config = new CudaLaunchConfig
        {
            GridX = checked((uint)launch.GridX),
            GridY = checked((uint)launch.GridY),
            GridZ = checked((uint)launch.GridZ),
            BlockX = checked((uint)launch.GroupX),
            BlockY = checked((uint)launch.GroupY),
            BlockZ = checked((uint)launch.GroupZ),
            SharedBytes = checked((uint)launch.DynamicSharedBytes),
            Stream = _driver.Stream,
            Attributes = &cluster,
            AttributeCount = 1,
        };
        return CudaApi.LaunchKernelEx(&config, _function, parameters, null);
    }

    private int Ask(CudaFunctionAttribute attribute)
    {
        int value;
        CudaDriver.Check(CudaApi.FuncGetAttribute(&value, attribute, _function), $"asking for {attribute}");
        return value;
    }
}
