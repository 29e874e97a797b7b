using System.Numerics.Tensors;

namespace Delora.Kernels;

/// <summary>
/// The epilogue of products on the CPU: a tile of z that is complete becomes one of y by who made it, while it is in the cache. The bits are those of the
/// activation's own kernel, whatever the tiles.
/// </summary>
internal static unsafe class CpuEpilogue
{
    /// <summary>Computes a product, whose C is y, and its epilogue.</summary>
    internal static void Run(CpuDevice cpu, in GemmProblem problem, in Epilogue epilogue)
    {
        if (epilogue.IsNone)
        {
            Gemm.Run(cpu, problem);
            return;
        }
        GemmProblem product = problem;
        if (epilogue.Preactivation is { } z) product.C = z.Pointer<float>();
        State state = new() { Z = product.C, Y = problem.C, Residual = epilogue.Residual is { } residual ? residual.Pointer<float>() : null };
        product.Finish = epilogue.Activation switch
        {
            ActivationKind.None => &Sum,
            ActivationKind.Relu => Of<CpuRelu.ForwardOp>(cpu.Simd),
            ActivationKind.Gelu => Of<CpuGelu.ForwardOp>(cpu.Simd),
            ActivationKind.GeluTanh => Of<CpuGeluTanh.ForwardOp>(cpu.Simd),
            ActivationKind.Silu => Of<CpuSilu.ForwardOp>(cpu.Simd),
            ActivationKind.Tanh => Of<CpuTanh.ForwardOp>(cpu.Simd),
            ActivationKind.Sigmoid => Of<CpuSigmoid.ForwardOp>(cpu.Simd),
            _ => throw ActivationKinds.Unknown(epilogue.Activation),
        };
        product.FinishState = &state;
        Gemm.Run(cpu, product);
    }

    private static delegate*<void*, float*, nint, int, int, void> Of<TOp>(SimdLevel level) where TOp : struct, ICpuUnaryOp => level switch
    {
        SimdLevel.Vector512 => &Activate<TOp, V16>,
        SimdLevel.Vector256 => &Activate<TOp, V8>,
        _ => &Activate<TOp, V4>,
    };

    private static void Activate<TOp, TVector>(void* given, float* block, nint stride, int rows, int columns)
        where TOp : struct, ICpuUnaryOp where TVector : unmanaged, ISimd<TVector>
    {
        State* state = (State*)given;
        for (int i = 0; i < rows; i++)
        {
            float* z = block + i * stride;
            nint at = (nint)(z - state->Z);
            CpuMap.Row<TOp, TVector>(z, state->Y + at, columns);
            if (state->Residual != null) Add(state->Y + at, state, at, columns);
        }
    }

    private static void Sum(void* given, float* block, nint stride, int rows, int columns)
    {
        State* state = (State*)given;
        for (int i = 0; i < rows; i++) Add(block + i * stride, state, (nint)(block + i * stride - state->Z), columns);
    }

    private static void Add(float* values, State* state, nint at, int columns) => TensorPrimitives.Add(
        new ReadOnlySpan<float>(values, columns), new ReadOnlySpan<float>(state->Residual + at, columns), new Span<float>(state->Y + at, columns));

    /// <summary>Three matrices that lie alike.</summary>
    private struct State
    {
        public float* Z, Y, Residual;
    }
}
