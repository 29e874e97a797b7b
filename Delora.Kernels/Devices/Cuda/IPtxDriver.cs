using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// What runs PTX: the CUDA driver on a card, or the interpreter of the tests, which has its memory on the host. All work goes through one stream, in
/// order, and is asynchronous: nothing but <see cref="IPtxEvent.Wait"/> waits. The device gives one call at a time, from any thread; only waiting and asking
/// whether an event has passed happen beside other calls.
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

    /// <summary>Copies host bytes to the device. They stay as they are until an event that is recorded afterwards has passed.</summary>
    void CopyFromHost(nint source, nint destination, long byteLength);

    /// <summary>Copies bytes of the device to the host. They are there when an event that is recorded afterwards has passed.</summary>
    void CopyToHost(nint source, nint destination, long byteLength);

    /// <summary>Host memory that copies go to and from without waiting (page-locked).</summary>
    /// <exception cref="DeviceMemoryException">There is none left.</exception>
    nint AllocateHost(long byteLength);

    /// <summary>Gives back what <see cref="AllocateHost"/> gave.</summary>
    void FreeHost(nint address);

    /// <summary>What a kernel is given of matrices whose tiles it copies, on a card of compute capability 9.0 or later.</summary>
    /// <exception cref="DeviceException">The matrices lie as such copies cannot read them.</exception>
    TensorMap MakeTensorMap(TensorTiles tiles);

    /// <summary>A new event, which can be recorded again and again.</summary>
    IPtxEvent CreateEvent();

    /// <summary>
    /// Starts recording what is launched, copied and filled on the device from now on instead of running it. Until <see cref="EndCapture"/> nothing may
    /// allocate, record an event or touch the host.
    /// </summary>
    void BeginCapture();

    /// <summary>Ends recording, also where something failed meanwhile: afterwards the stream works again.</summary>
    /// <exception cref="DeviceException">Something that cannot be recorded was asked for meanwhile.</exception>
    IPtxGraph EndCapture();
}

/// <summary>A loaded PTX text.</summary>
internal interface IPtxModule : IDisposable
{
    /// <summary>An entry (<c>.visible .entry</c>) of the text.</summary>
    /// <param name="signature">What the text declares of it.</param>
    /// <exception cref="DeviceException">There is none of that name.</exception>
    IPtxFunction GetFunction(PtxSignature signature);
}

/// <summary>An entry of a loaded PTX text.</summary>
internal interface IPtxFunction
{
    /// <summary>What the assembler made of it.</summary>
    PtxFunctionInfo Info { get; }

    /// <summary>
    /// Starts the entry. <paramref name="parameters"/> holds its parameters one after the other, each at the next multiple of its own alignment
    /// (<see cref="PtxSignature.Offsets"/>).
    /// </summary>
    /// <exception cref="DeviceException">The launch is refused: too many threads, too much shared memory, a wrong length of the parameters.</exception>
    void Launch(PtxLaunch launch, ReadOnlySpan<byte> parameters);
}

/// <summary>A place in the stream.</summary>
internal interface IPtxEvent : IDisposable
{
    /// <summary>Puts it behind everything that was asked for before.</summary>
    void Record();

    /// <summary>Whether everything before it has run.</summary>
    /// <exception cref="DeviceException">Something before it has failed.</exception>
    bool HasPassed { get; }

    /// <summary>Waits until everything before it has run.</summary>
    /// <exception cref="DeviceException">Something before it has failed.</exception>
    void Wait();

    /// <summary>Milliseconds between another event and this one, both of which have passed.</summary>
    double MillisecondsSince(IPtxEvent start);
}

/// <summary>A recorded sequence of launches.</summary>
internal interface IPtxGraph : IDisposable
{
    /// <summary>Runs the sequence once, with the parameters and addresses that were recorded.</summary>
    void Replay();
}

/// <summary>The size of a launch: groups (CTAs) in the grid, threads in a group, bytes of dynamic shared memory of each group.</summary>
internal readonly record struct PtxLaunch(
    int GridX, int GridY, int GridZ, int GroupX, int GroupY, int GroupZ, int DynamicSharedBytes, int ClusterX = 1)
{
    /// <summary>For instance <c>12 × 1 × 1 groups of 256 × 1 × 1 threads, 4096 bytes of shared memory</c>.</summary>
    public override string ToString() =>
        $"{GridX} × {GridY} × {GridZ} groups of {GroupX} × {GroupY} × {GroupZ} threads"
        + (DynamicSharedBytes == 0 ? "" : $", {DynamicSharedBytes} bytes of shared memory") + (ClusterX == 1 ? "" : $", clusters of {ClusterX}");
}

/// <summary>What the assembler made of an entry: the most threads of a group, and what each thread (registers, local memory) or group takes.</summary>
internal readonly record struct PtxFunctionInfo(int MaxThreads, int Registers, int LocalBytes, int StaticSharedBytes);
