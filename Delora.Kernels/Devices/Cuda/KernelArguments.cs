using System.Linq.Expressions;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// Writes the arguments of a launch as PTX takes them: the elements of the tuple <typeparamref name="TArguments"/> one after the other, each at the
/// next multiple of its own alignment. Structs lie as in C, with the members in the order of their declaration; a view is an address and a 64-bit count of
/// elements, as ILGPU's kernels expect it. The writer is compiled once for each tuple, so that a launch boxes nothing.
/// </summary>
internal sealed class KernelArguments<TArguments> where TArguments : struct
{
    /// <summary>For kernels in explicit groups and texts of one's own.</summary>
    internal static readonly KernelArguments<TArguments> Plain = new(0);

    /// <summary>For kernels that run once per index: an int, the number of indices, comes first and is written by the launch.</summary>
    internal static readonly KernelArguments<TArguments> AfterCount = new(sizeof(int));

    private readonly Lazy<(Writer Write, PtxParameter[] Parameters, int ByteLength)> _layout;

    private KernelArguments(int start) => _layout = new(() => Make(start));

    private delegate void Writer(ref TArguments arguments, ref byte destination);

    /// <summary>The parameters of the tuple, without the count.</summary>
    internal IReadOnlyList<PtxParameter> Parameters => _layout.Value.Parameters;

    /// <summary>Bytes of all parameters, the count included.</summary>
    internal int ByteLength => _layout.Value.ByteLength;

    /// <summary>Writes the parameters at their places behind the count.</summary>
    internal void Write(ref TArguments arguments, Span<byte> destination) =>
        _layout.Value.Write(ref arguments, ref MemoryMarshal.GetReference(destination[..ByteLength]));

    private static (Writer Write, PtxParameter[] Parameters, int ByteLength) Make(int start)
    {
        ParameterExpression arguments = Expression.Parameter(typeof(TArguments).MakeByRefType(), "arguments");
        ParameterExpression destination = Expression.Parameter(typeof(byte).MakeByRefType(), "destination");
        var writes = new List<Expression>();
        var parameters = new List<PtxParameter>();
        int offset = start;
        foreach (Expression element in Elements(arguments))
        {
            PtxParameter parameter = KernelLayout.Measure(element.Type);
            offset = KernelLayout.Align(offset, parameter.Alignment);
            KernelLayout.Write(element, destination, offset, writes);
            parameters.Add(parameter);
            offset = checked(offset + parameter.Size);
        }
        writes.Add(Expression.Empty());
        return (Expression.Lambda<Writer>(Expression.Block(writes), arguments, destination).Compile(), [.. parameters], offset);
    }

    /// <summary>The elements of a tuple, those behind the seventh included.</summary>
    private static IEnumerable<Expression> Elements(Expression tuple)
    {
        foreach (FieldInfo field in KernelLayout.Fields(tuple.Type))
            if (field.Name != "Rest") yield return Expression.Field(tuple, field);
            else foreach (Expression element in Elements(Expression.Field(tuple, field))) yield return element;
    }
}

/// <summary>How a value lies among the parameters of a kernel.</summary>
internal static class KernelLayout
{
    private static readonly MethodInfo s_writeValue = Method(nameof(WriteValue)), s_writeView = Method(nameof(WriteView));

    /// <summary>The next multiple of an alignment.</summary>
    internal static int Align(int offset, int alignment) => checked((int)Align((nint)offset, alignment));

    /// <summary>The next multiple of an alignment.</summary>
    internal static nint Align(nint address, int alignment) => checked(address + alignment - 1) / alignment * alignment;

    /// <summary>Size and alignment of a type.</summary>
    /// <exception cref="NotSupportedException">A kernel cannot take it.</exception>
    internal static PtxParameter Measure(Type type)
    {
        if (ScalarSize(type) is { } size) return new(size, size);
        if (IsView(type)) return new(2 * sizeof(long), sizeof(long));
        if (type == typeof(TensorMap)) return new(TensorMap.ByteLength, TensorMap.Alignment);
        int offset = 0, alignment = 1;
        foreach (FieldInfo field in Fields(type))
        {
            PtxParameter member = Measure(field.FieldType);
            offset = checked(Align(offset, member.Alignment) + member.Size);
            alignment = Math.Max(alignment, member.Alignment);
        }
        return new(Align(offset, alignment), alignment);
    }

    /// <summary>Adds the expressions that write a value at an offset.</summary>
    internal static void Write(Expression value, Expression destination, int offset, List<Expression> writes)
    {
        Type type = value.Type;
        if (ScalarSize(type) is not null || type == typeof(TensorMap))
        {
            writes.Add(Expression.Call(s_writeValue.MakeGenericMethod(type), value, destination, Expression.Constant(offset)));
        }
        else if (IsView(type))
        {
            writes.Add(Expression.Call(s_writeView.MakeGenericMethod(type.GetGenericArguments()), value, destination, Expression.Constant(offset)));
        }
        else
        {
            foreach (FieldInfo field in Fields(type))
            {
                PtxParameter member = Measure(field.FieldType);
                offset = Align(offset, member.Alignment);
                Write(Expression.Field(value, field), destination, offset, writes);
                offset = checked(offset + member.Size);
            }
        }
    }

    /// <summary>The members of a struct in the order of their declaration.</summary>
    internal static FieldInfo[] Fields(Type type)
    {
        FieldInfo[] fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
        if (!type.IsValueType || type.IsPrimitive || fields.Length == 0 || type.IsExplicitLayout
            || type.IsDefined(typeof(InlineArrayAttribute)) || type.StructLayoutAttribute is { Pack: not (0 or 8) })
            throw new NotSupportedException($"a kernel cannot take {type}: known are numbers, views, and structs of them with members one after the other");
        return [.. fields.OrderBy(field => field.MetadataToken)];
    }

    private static bool IsView(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ArrayView<>);

    // Not bool and char: ILGPU has widths of its own for them.
    private static int? ScalarSize(Type type) => Type.GetTypeCode(type) switch
    {
        TypeCode.SByte or TypeCode.Byte => 1,
        TypeCode.Int16 or TypeCode.UInt16 => 2,
        TypeCode.Int32 or TypeCode.UInt32 or TypeCode.Single => 4,
        TypeCode.Int64 or TypeCode.UInt64 or TypeCode.Double => 8,
        _ => type == typeof(nint) || type == typeof(nuint) ? 8 : null,
    };

    private static void WriteValue<T>(T value, ref byte destination, int offset) where T : unmanaged =>
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref destination, offset), value);

    private static void WriteView<T>(ArrayView<T> view, ref byte destination, int offset) where T : unmanaged
    {
        WriteValue(view.IsValid ? (long)view.LoadEffectiveAddressAsPtr() : 0L, ref destination, offset);
        WriteValue(view.Length, ref destination, offset + sizeof(long));
    }

    private static MethodInfo Method(string name) => typeof(KernelLayout).GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!;
}
