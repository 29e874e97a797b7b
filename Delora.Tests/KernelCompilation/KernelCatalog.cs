using System.Reflection;
using System.Reflection.Emit;
using Delora.Kernels;
using ILGPU;

namespace Delora.Tests.KernelCompilation;

/// <summary>
/// Every ILGPU kernel of the project with the type arguments it is launched with: follows the calls of every method of the assembly through their
/// intermediate language, and collects the methods whose address is taken and that look like a kernel. Adding an op edits no list.
/// </summary>
internal static class KernelCatalog
{
    private const BindingFlags Everything =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> s_opCodes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    /// <summary>The kernels of Delora.Kernels, by name.</summary>
    internal static IReadOnlyList<MethodInfo> All { get; } = Find(typeof(GpuDevice).Assembly);

    /// <summary>Whether the kernel runs once per index, else in explicit groups.</summary>
    internal static bool IsImplicitlyGrouped(MethodInfo kernel) => kernel.GetParameters()[0].ParameterType == typeof(Index1D);

    private static List<MethodInfo> Find(Assembly assembly)
    {
        var kernels = new HashSet<MethodInfo>();
        var seen = new HashSet<MethodBase>();
        var open = new Stack<MethodBase>();
        foreach (Type type in assembly.GetTypes().Where(type => !type.ContainsGenericParameters))
            foreach (MethodBase method in type.GetMethods(Everything).Cast<MethodBase>().Concat(type.GetConstructors(Everything)))
                if (!method.ContainsGenericParameters) open.Push(method);
        while (open.TryPop(out MethodBase? method))
        {
            if (!seen.Add(method) || method.GetMethodBody()?.GetILAsByteArray() is not { } body) continue;
            foreach ((OpCode code, int token) in Tokens(body))
            {
                MethodBase? target = method.Module.ResolveMethod(token, TypeArguments(method), MethodArguments(method));
                if (target is null || target.Module.Assembly != assembly || target.ContainsGenericParameters) continue;
                if (code == OpCodes.Ldftn && target is MethodInfo { IsStatic: true } candidate && IsKernel(candidate)) kernels.Add(candidate);
                else open.Push(target);
            }
        }
        return [.. kernels.OrderBy(GpuDevice.KernelName, StringComparer.Ordinal)];
    }

    private static bool IsKernel(MethodInfo method)
    {
        Type[] types = [.. method.GetParameters().Select(parameter => parameter.ParameterType)];
        return method.ReturnType == typeof(void) && types.Length > 0
            && types.All(type => type.IsValueType)
            && types.Any(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ArrayView<>));
    }

    private static Type[]? TypeArguments(MethodBase method) => method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;

    private static Type[]? MethodArguments(MethodBase method) => method.IsGenericMethod ? method.GetGenericArguments() : null;

    /// <summary>The instructions that name a method, in order.</summary>
    private static IEnumerable<(OpCode Code, int Token)> Tokens(byte[] body)
    {
        int at = 0;
        while (at < body.Length)
        {
            short value = body[at++];
            if (value == 0xFE) value = (short)((0xFE << 8) | body[at++]);
            OpCode code = s_opCodes[value];
            switch (code.OperandType)
            {
                case OperandType.InlineNone: break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar: at += 1; break;
                case OperandType.InlineVar: at += 2; break;
                case OperandType.InlineI8 or OperandType.InlineR: at += 8; break;
                case OperandType.InlineSwitch: at += 4 + 4 * BitConverter.ToInt32(body, at); break;
                case OperandType.InlineMethod: yield return (code, BitConverter.ToInt32(body, at)); at += 4; break;
                default: at += 4; break;
            }
        }
    }
}
