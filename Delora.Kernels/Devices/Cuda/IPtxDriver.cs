using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// What runs PTX: the CUDA driver on a card, or the interpreter of the tests, which has its memory on the host. All work goes through one stream, in
/// order, and is asynchronous: nothing but <see cref="Synchronize"/> waits.
/// </summary>
internal interface IPtxDriver : IDisposable
{
    /// <summary>What the card can do.</summary>
    PtxTarget Target { get; }

    /// <summary>Loads a whole PTX text.</summary>
    /// <param name="name">What errors call the text, for instance the kernel's name.</param>
    /// <param name="ptx">The text.</param>
    /// <exception cref="DeviceException">The text does not assemble; the message has the assembler's log.</exception>
    IPtxModule Load(string name, string ptx);

    /// <summary>Copies bytes of the device's memory, ranges that do not overlap.</summary>
    void Copy(nint source, nint destination, long byteLength);

    /// <summary>Fills bytes of the device's memory.</summary>
    void Fill(nint destination, long byteLength, byte value);

    /// <summary>
    /// Starts recording what is launched, copied and filled from now on instead of running it. Until <see cref="EndCapture"/> nothing may allocate, wait or
    /// touch the host.
    /// </summary>
    void BeginCapture();

    /// <summary>Ends recording.</summary>
    /// <exception cref="DeviceException">Something that cannot be recorded was asked for meanwhile.</exception>
    IPtxGraph EndCapture();

    /// <summary>Waits until everything before has run.</summary>
    /// <exception cref="DeviceException">Something before has failed.</exception>
    void Synchronize();
}

/// <summary>A loaded PTX text.</summary>
internal interface IPtxModule : IDisposable
{
    /// <summary>An entry (<c>.visible .entry</c>) of the text.</summary>
    /// <exception cref="DeviceException">There is none of that name.</exception>
    IPtxFunction GetFunction(string entry);
}

/// <summary>An entry of a loaded PTX text.</summary>
internal interface IPtxFunction
{
    /// <summary>
    /// Starts the entry. <paramref name="parameters"/> holds its parameters one after the other, each at the next multiple of its own alignment, as the
    /// text declares them.
    /// </summary>
    /// <exception cref="DeviceException">The launch is refused: too many threads, too much shared memory, a wrong length of the parameters.</exception>
    void Launch(PtxLaunch launch, ReadOnlySpan<byte> parameters);
}

/// <summary>A recorded sequence of launches.</summary>
internal interface IPtxGraph : IDisposable
{
    /// <summary>Runs the sequence once, with the parameters and addresses that were recorded.</summary>
    void Replay();
}

/// <summary>The size of a launch: groups (CTAs) in the grid, threads in a group, bytes of dynamic shared memory of each group.</summary>
internal readonly record struct PtxLaunch(
    int GridX, int GridY, int GridZ, int GroupX, int GroupY, int GroupZ, int DynamicSharedBytes, int ClusterX = 1);

/// <summary>
/// What a card can do: its compute capability, the newest PTX version that its driver reads (83 is 8.3), multiprocessors, and the most shared memory
/// that a group may have when it asks (228 KiB less one on a card of 9.0).
/// </summary>
internal sealed record PtxTarget(int Major, int Minor, int PtxVersion, int Multiprocessors, int MaxSharedBytes, int MaxThreads = 1024)
{
    /// <summary>10 · major + minor, as in <c>sm_90</c>.</summary>
    internal int ComputeCapability => 10 * Major + Minor;
}
