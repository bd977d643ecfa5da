import { useMutation, useQueryClient } from '@tanstack/react-query';

/**
 * A change at the server, for the dialog that asks for it: `form` is what every dialog takes. What the change makes outdated is asked for
 * again. The answer is gone with the dialog: some hold what is shown once.
 */
export function useChange<Answer>(
  run: () => Promise<Answer>,
  { refresh, done }: { refresh: string[]; done?: (answer: Answer) => void },
) {
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: run,
    gcTime: 0,
    onSuccess: (answer) => {
      for (const key of refresh) void queries.invalidateQueries({ queryKey: [key] });
      done?.(answer);
    },
  });
  return {
    answer: change.data,
    form: { pending: change.isPending, error: change.error, submit: () => change.mutate() },
  };
}
